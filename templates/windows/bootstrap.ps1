# <@ header|safe @>

<#
.SYNOPSIS
Sets this Windows up at its first logon: drivers, guest agent, further disks, WinFsp, Nushell, the scripts and their tasks.

.DESCRIPTION
Setup runs it from the disc of answers. It does one step after the other and stops at the first that fails; run again (a
task does so at the next logon), it goes on where it stopped. What it did stands in C:\ProgramData\moxc\log\bootstrap.log.

Programs come from the folder moxc\packages of the disc where they lie there, else from winget.

Exit status: 0 done or nothing to do, 1 a step failed, 2 wrong usage or missing rights, 3 done, and Windows must restart.

.PARAMETER DryRun
Shows what would be done.

.PARAMETER Yes
Accepted as everywhere; there are no questions.

.PARAMETER Help
Shows this.
#>
[CmdletBinding(PositionalBinding = $false)]
param(
    [switch]$DryRun,
    [switch]$Yes,
    [switch]$Help,
    [Parameter(ValueFromRemainingArguments = $true)]
    [string[]]$Rest
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$user = <@ user @>
$hasShares = <% if shares %>$true<% else %>$false<% endif %>
# The disks behind the first, and every letter that they and the shared folders take.
$disks = @(
<%- for disk in disks %>
    @{ Letter = <@ disk.letter @>; Size = [long]<@ disk.size @>; Label = <@ disk.label @> }
<%- endfor %>
)
$letters = <@ letters @>
$root = Join-Path $env:ProgramData 'moxc'
$state = Join-Path $root 'state\bootstrap'
$nu = Join-Path $env:ProgramFiles 'nu\bin\nu.exe'
$taskFolder = '\moxc\'
$taskName = 'bootstrap'
$script:restart = $false

# To the log and the window, and never into what a function gives back.
function Write-Line([string]$text) {
    Write-Host ('{0} {1}' -f (Get-Date -Format 'yyyy-MM-ddTHH:mm:ss'), $text)
}

function Stop-Usage([string]$message) {
    [Console]::Error.WriteLine("bootstrap.ps1: $message")
    exit 2
}

# Runs a program and looks at its status. 3010 and 1641 are success of an installer that wants a restart.
function Invoke-Program([string]$program, [string[]]$arguments, [int[]]$right) {
    $process = Start-Process -FilePath $program -ArgumentList $arguments -Wait -PassThru -NoNewWindow
    if ($process.ExitCode -eq 3010 -or $process.ExitCode -eq 1641) {
        $script:restart = $true
        return
    }
    if ($right -notcontains $process.ExitCode) {
        throw "$program ended with status $($process.ExitCode)"
    }
}

function Install-Msi([string]$path) {
    $log = Join-Path $root ('log\{0}.log' -f [IO.Path]::GetFileNameWithoutExtension($path))
    Invoke-Program 'msiexec.exe' @('/i', "`"$path`"", '/qn', '/norestart', '/l*v', "`"$log`"", 'ALLUSERS=1') @(0)
}

# The drive on which a file lies, by its path without the drive.
function Find-Drive([string]$path) {
    foreach ($drive in [IO.DriveInfo]::GetDrives()) {
        if ($drive.IsReady -and (Test-Path -LiteralPath (Join-Path $drive.Name $path))) {
            return $drive.Name
        }
    }
    return $null
}

# A package that the disc of answers brings: the newest of its name.
function Find-Package([string]$pattern) {
    $drive = Find-Drive 'moxc\packages'
    if (-not $drive) {
        return $null
    }
    $found = @(Get-ChildItem -Path (Join-Path $drive "moxc\packages\$pattern") -File -ErrorAction SilentlyContinue | Sort-Object Name)
    if (-not $found) {
        return $null
    }
    return $found[-1].FullName
}

# winget belongs to each user and comes some minutes after the first logon.
function Get-Winget {
    $path = Join-Path $env:LOCALAPPDATA 'Microsoft\WindowsApps\winget.exe'
    for ($try = 0; $try -lt 20; $try++) {
        if (Test-Path -LiteralPath $path) {
            return $path
        }
        try {
            Add-AppxPackage -RegisterByFamilyName -MainPackage 'Microsoft.DesktopAppInstaller_8wekyb3d8bbwe'
        }
        catch {
            Write-Line "  winget is not there yet: $($_.Exception.Message)"
        }
        Start-Sleep -Seconds 15
    }
    throw 'winget does not come: put the installer into the folder packages of the disc (build-iso.sh --packages)'
}

function Install-Package([string]$pattern, [string]$id) {
    $package = Find-Package $pattern
    if ($package) {
        Install-Msi $package
        return
    }
    # -1978335189: there is no newer version. -1978335135: it is installed already.
    Invoke-Program (Get-Winget) @(
        'install', '--id', $id, '--exact', '--source', 'winget', '--scope', 'machine', '--silent',
        '--accept-source-agreements', '--accept-package-agreements', '--disable-interactivity'
    ) @(0, -1978335189, -1978335135)
}

# ---------------------------------------------------------------- steps

# Whether everything below the folder is there, byte for byte.
function Test-Files([string]$from) {
    foreach ($file in Get-ChildItem -LiteralPath $from -Recurse -File) {
        $name = $file.FullName.Substring($from.Length).TrimStart('\')
        $copy = Join-Path $root $name
        if (-not (Test-Path -LiteralPath $copy)) {
            return $false
        }
        if ((Get-FileHash -LiteralPath $copy).Hash -ne (Get-FileHash -LiteralPath $file.FullName).Hash) {
            return $false
        }
    }
    return $true
}

function Test-StepFiles {
    $drive = Find-Drive 'moxc\files'
    if (-not $drive) {
        # The disc is gone: what was copied is what there is.
        return (Test-Path -LiteralPath (Join-Path $root 'moxc.nu'))
    }
    return (Test-Files (Join-Path $drive 'moxc\files'))
}

function Invoke-StepFiles {
    $drive = Find-Drive 'moxc\files'
    if (-not $drive) {
        throw 'the disc of answers is in no drive'
    }
    # Windows itself runs what lies here: nobody but administrators may write (SYSTEM, administrators, users).
    Invoke-Program 'icacls.exe' @(
        "`"$root`"", '/inheritance:r', '/grant:r', '*S-1-5-18:(OI)(CI)F', '*S-1-5-32-544:(OI)(CI)F', '*S-1-5-32-545:(OI)(CI)RX'
    ) @(0)
    # What changed is to be done: the first logon runs again.
    Remove-Item -LiteralPath (Join-Path $state 'start') -Force -ErrorAction SilentlyContinue
    $from = Join-Path $drive 'moxc\files'
    # As bytes: a byte order mark would break Nushell's scripts.
    Copy-Item -Path (Join-Path $from '*') -Destination $root -Recurse -Force
    # What comes from a disc cannot be written.
    Get-ChildItem -LiteralPath $root -Recurse -File | ForEach-Object { $_.IsReadOnly = $false }
    if (-not (Test-Files $from)) {
        throw 'the copy differs from the disc'
    }
}

function Test-StepResume {
    return [bool](Get-ScheduledTask -TaskPath $taskFolder -TaskName $taskName -ErrorAction SilentlyContinue)
}

# Until everything is done, the next logon goes on. The step that registers the tasks removes this one.
function Invoke-StepResume {
    $command = '-NoProfile -ExecutionPolicy Bypass -File "{0}"' -f (Join-Path $root 'bootstrap.ps1')
    $action = New-ScheduledTaskAction -Execute 'powershell.exe' -Argument $command
    $trigger = New-ScheduledTaskTrigger -AtLogOn -User $user
    $principal = New-ScheduledTaskPrincipal -UserId $user -LogonType Interactive -RunLevel Highest
    $settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries
    $null = Register-ScheduledTask -TaskPath $taskFolder -TaskName $taskName -Action $action -Trigger $trigger -Principal $principal -Settings $settings -Force
}

function Test-StepDrivers {
    return [bool](Get-Service -Name 'QEMU-GA' -ErrorAction SilentlyContinue)
}

# Both parts by themselves: the one installer of all hangs at the first logon of Windows 11 24H2.
function Invoke-StepDrivers {
    $drive = Find-Drive 'virtio-win-gt-x64.msi'
    if (-not $drive) {
        throw 'the virtio-win disc is in no drive'
    }
    Install-Msi (Join-Path $drive 'virtio-win-gt-x64.msi')
    Install-Msi (Join-Path $drive 'guest-agent\qemu-ga-x86_64.msi')
    if (-not (Test-StepDrivers)) {
        throw 'the service of the guest agent is not there'
    }
}

# A drive with a file system; a disc in a CD drive is none.
function Test-Letter([string]$letter) {
    $volume = Get-Volume -DriveLetter $letter -ErrorAction SilentlyContinue
    return $volume -and $volume.DriveType -eq 'Fixed' -and $volume.FileSystemType -ne 'Unknown'
}

function Test-StepDisks {
    return -not @($disks | Where-Object { -not (Test-Letter $_.Letter) })
}

# Windows hands the first letters to the discs of the installation.
function Move-Disc([string]$letter) {
    $volume = Get-CimInstance -ClassName Win32_Volume -Filter "DriveLetter = '${letter}:'"
    if (-not $volume) {
        return
    }
    if ($volume.DriveType -ne 5) {
        throw "the letter ${letter}: belongs to another drive: give that one another letter (diskmgmt.msc), and run this again"
    }
    foreach ($free in 'YXWVUTSRQPONMLKJIHGFE'.ToCharArray()) {
        if (-not $letters.Contains([string]$free) -and -not (Test-Path -LiteralPath "${free}:\") -and
            -not (Get-CimInstance -ClassName Win32_Volume -Filter "DriveLetter = '${free}:'")) {
            Set-CimInstance -InputObject $volume -Property @{ DriveLetter = "${free}:" }
            return
        }
    }
    throw "no letter is free for the disc in ${letter}:"
}

# The partition of a disk that holds data, or may; what Windows itself reserves is none.
function Get-Partitions($disk) {
    return @(Get-Partition -DiskNumber $disk.Number -ErrorAction SilentlyContinue | Where-Object { $_.Type -ne 'Reserved' })
}

# Only a disk without any partition is taken, and only one of the size that the spec says: of two such ones it does not
# matter which. A server leaves new disks offline.
function Invoke-StepDisks {
    foreach ($wanted in $disks) {
        $letter = $wanted.Letter
        if (Test-Letter $letter) {
            continue
        }
        $partition = Get-Partition -DriveLetter $letter -ErrorAction SilentlyContinue
        if (-not $partition) {
            Move-Disc $letter
            $disk = Get-Disk | Where-Object {
                $_.Size -ge $wanted.Size -and $_.Size -lt $wanted.Size + 1048576 -and -not $_.IsBoot -and -not (Get-Partitions $_)
            } | Sort-Object Number | Select-Object -First 1
            if (-not $disk) {
                throw "there is no empty disk of $($wanted.Size) bytes for ${letter}: ($($wanted.Label)); one that holds partitions is left alone"
            }
            if ($disk.IsOffline) {
                Set-Disk -Number $disk.Number -IsOffline $false
            }
            if ($disk.IsReadOnly) {
                Set-Disk -Number $disk.Number -IsReadOnly $false
            }
            if ($disk.PartitionStyle -eq 'RAW') {
                Initialize-Disk -Number $disk.Number -PartitionStyle GPT
            }
            $partition = New-Partition -DiskNumber $disk.Number -UseMaximumSize -DriveLetter $letter
        }
        # It has no file system yet: Test-Letter has looked.
        $null = Format-Volume -Partition $partition -FileSystem NTFS -NewFileSystemLabel $wanted.Label -Confirm:$false
    }
}

function Test-StepWinFsp {
    return [bool](Get-Service -Name 'WinFsp.Launcher' -ErrorAction SilentlyContinue)
}

function Invoke-StepWinFsp {
    Install-Package 'winfsp-*.msi' 'WinFsp.WinFsp'
}

function Test-StepNushell {
    return (Test-Path -LiteralPath $nu)
}

function Invoke-StepNushell {
    Install-Package 'nu-*.msi' 'Nushell.Nushell'
    if (-not (Test-Path -LiteralPath $nu)) {
        throw "Nushell was installed, but not at ${nu}: the tasks look for it there"
    }
}

function Test-StepSecrets {
    $winlogon = Get-ItemProperty -Path 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon'
    $names = @($winlogon.PSObject.Properties | ForEach-Object { $_.Name })
    if ($names -contains 'DefaultPassword') {
        return $false
    }
    if ($names -contains 'AutoAdminLogon' -and $winlogon.AutoAdminLogon -ne '0') {
        return $false
    }
    return -not (Get-Answers)
}

# Copies of the answers that Setup leaves behind, with the password in them.
function Get-Answers {
    return @(
        'Panther\unattend.xml', 'Panther\unattend-original.xml', 'Panther\autounattend.xml',
        'Panther\Unattend\unattend.xml', 'System32\Sysprep\unattend.xml', 'System32\Sysprep\Panther\unattend.xml'
    ) | ForEach-Object { Join-Path $env:SystemRoot $_ } | Where-Object { Test-Path -LiteralPath $_ }
}

function Invoke-StepSecrets {
    foreach ($file in Get-Answers) {
        Remove-Item -LiteralPath $file -Force
    }
    $winlogon = 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon'
    Set-ItemProperty -Path $winlogon -Name 'AutoAdminLogon' -Value '0'
    foreach ($name in 'DefaultPassword', 'AutoLogonCount') {
        Remove-ItemProperty -Path $winlogon -Name $name -ErrorAction SilentlyContinue
    }
    # Else Windows asks for another password after 42 days, and the next logon by the agent or by RDP fails.
    Set-LocalUser -Name $user -PasswordNeverExpires $true
}

function Test-StepTasks {
    $said = & powershell.exe -NoProfile -ExecutionPolicy Bypass -File (Join-Path $root 'tasks\register.ps1') -DryRun
    return ("$said" -eq 'nothing to change')
}

# This also removes the task that goes on after a restart: it is none of the tree.
function Invoke-StepTasks {
    Invoke-Program 'powershell.exe' @(
        '-NoProfile', '-ExecutionPolicy', 'Bypass', '-File', "`"$(Join-Path $root 'tasks\register.ps1')`""
    ) @(0)
}

function Test-StepStart {
    return (Test-Path -LiteralPath (Join-Path $state 'start'))
}

function Invoke-StepStart {
    Start-ScheduledTask -TaskPath $taskFolder -TaskName 'first-logon'
    Set-Content -LiteralPath (Join-Path $state 'start') -Value 'done'
}

# ---------------------------------------------------------------- one after the other

if ($Help) {
    Get-Help -Detailed $PSCommandPath
    exit 0
}
if ($Rest) {
    Stop-Usage "unknown argument: $($Rest -join ' ')"
}
$identity = New-Object Security.Principal.WindowsPrincipal ([Security.Principal.WindowsIdentity]::GetCurrent())
if (-not $DryRun -and -not $identity.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
    Stop-Usage 'run it as administrator'
}

# The copies of the password go first, whatever fails later.
$steps = @('Files', 'Secrets', 'Resume', 'Drivers', 'Disks')
if ($hasShares) {
    $steps += 'WinFsp'
}
$steps += @('Nushell', 'Tasks', 'Start')

if ($DryRun) {
    foreach ($step in $steps) {
        Write-Output "  $($step.ToLowerInvariant())"
    }
    Write-Output 'nothing done (-DryRun)'
    exit 0
}

$null = New-Item -ItemType Directory -Force -Path $state
$null = New-Item -ItemType Directory -Force -Path (Join-Path $root 'log')
Start-Transcript -Path (Join-Path $root 'log\bootstrap.log') -Append | Out-Null
$name = ''
try {
    foreach ($step in $steps) {
        # The tasks are registered by then, and the one that goes on after a restart is gone for good.
        if ($step -eq 'Resume' -and (Test-StepStart)) {
            continue
        }
        $name = $step.ToLowerInvariant()
        if (& "Test-Step$step") {
            Write-Line "${name}: nothing to do"
            continue
        }
        Write-Line "${name}: begins"
        & "Invoke-Step$step"
        Write-Line "${name}: done"
    }
}
catch {
    Write-Line "${name}: failed: $($_.Exception.Message)"
    [Console]::Error.WriteLine("bootstrap.ps1: stopped in step ${name}: $($_.Exception.Message)")
    Stop-Transcript | Out-Null
    exit 1
}
Stop-Transcript | Out-Null
if ($script:restart) {
    Write-Output 'done; Windows must restart to finish'
    exit 3
}
Write-Output 'done'
exit 0
