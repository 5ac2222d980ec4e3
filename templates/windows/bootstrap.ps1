# <@ header|safe @>

<#
.SYNOPSIS
Sets this Windows up at its first logon: drivers, guest agent, Nushell, the machine's settings, the scripts and their tasks.

.DESCRIPTION
Setup runs it from the disc of answers. It does one step after the other and stops at the first that fails; run again (a
task does so when Windows starts, and at the user's logon), it goes on where it stopped. What it did stands in
C:\ProgramData\moxc\log\bootstrap.log, and how it ended in C:\ProgramData\moxc\state\bootstrap.json, where the host looks.

Programs come from the folder moxc\packages of the disc where they lie there, else from where they are published; either
way their SHA-256 is the one below. Only where neither works, and only Nushell, winget is asked.

Exit status: 0 done or nothing to do, 1 a step failed, 2 wrong usage or missing rights, 3 done, and Windows must restart.

.PARAMETER Pushed
The host has brought the files already: leaves out what the disc is for.

.PARAMETER DryRun
Shows what would be done.

.PARAMETER Yes
Accepted as everywhere; there are no questions.

.PARAMETER Help
Shows this.
#>
[CmdletBinding(PositionalBinding = $false)]
param(
    [switch]$Pushed,
    [switch]$DryRun,
    [switch]$Yes,
    [switch]$Help,
    [Parameter(ValueFromRemainingArguments = $true)]
    [string[]]$Rest
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
# Its progress bar makes a download ten times as long.
$ProgressPreference = 'SilentlyContinue'

$user = <@ user @>
# What is installed from a file: name, file, where it is published, its SHA-256.
$installers = @(
<%- for one in installers %>
    @{ Name = <@ one.name @>; File = <@ one.file @>; Url = <@ one.url @>; Sha256 = <@ one.sha256 @> }
<%- endfor %>
)
# The Nushell that these scripts were tried with.
$nuVersion = <@ nu @>
# Whether Windows brings winget at all.
$hasWinget = <% if winget %>$true<% else %>$false<% endif %>
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

# How far it is, as one line of JSON in ASCII: the host reads it.
function Write-State([string]$status, [string]$step, [string]$message) {
    $json = ConvertTo-Json -InputObject @{ status = $status; step = $step; message = $message } -Compress
    $ascii = [regex]::Replace($json, '[^\x20-\x7e]', { param($match) '\u{0:x4}' -f [int][char]$match.Value })
    [IO.File]::WriteAllText((Join-Path $root 'state\bootstrap.json'), $ascii)
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
        # The first logon's script restarts Windows when it is through.
        Set-Content -LiteralPath (Join-Path $state 'restart') -Value 'wanted'
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

function Test-Hash([string]$path, [string]$sha256) {
    return ((Get-FileHash -LiteralPath $path -Algorithm SHA256).Hash -eq $sha256)
}

# The file of a pinned installer: the copy that the disc brought, else a download.
function Get-Installer($pinned) {
    $file = Join-Path $root ('packages\' + $pinned.File)
    if ((Test-Path -LiteralPath $file) -and (Test-Hash $file $pinned.Sha256)) {
        return $file
    }
    $null = New-Item -ItemType Directory -Force -Path (Join-Path $root 'packages')
    # Older Windows offers old protocols first.
    [Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
    for ($try = 1; ; $try++) {
        Write-Line "  downloads $($pinned.Url)"
        try {
            Invoke-WebRequest -UseBasicParsing -Uri $pinned.Url -OutFile $file
            break
        }
        catch {
            if ($try -ge 5) {
                throw
            }
            Write-Line "  $($_.Exception.Message)"
            # A network takes a moment to come.
            Start-Sleep -Seconds 15
        }
    }
    if (-not (Test-Hash $file $pinned.Sha256)) {
        Remove-Item -LiteralPath $file -Force
        throw "$($pinned.Url) has another SHA-256 than $($pinned.Sha256)"
    }
    return $file
}

# winget, where it is there and knows what it is told: `--disable-interactivity` came with 1.4. It belongs to the user, so
# that SYSTEM has none.
function Get-Winget {
    if (-not $hasWinget) {
        return $null
    }
    $path = Join-Path $env:LOCALAPPDATA 'Microsoft\WindowsApps\winget.exe'
    if (-not (Test-Path -LiteralPath $path)) {
        return $null
    }
    $said = "$(& $path --version)"
    if ($said -notmatch '^v?(\d+)\.(\d+)') {
        return $null
    }
    if ([int]$Matches[1] -lt 1 -or ([int]$Matches[1] -eq 1 -and [int]$Matches[2] -lt 4)) {
        return $null
    }
    return $path
}

# ---------------------------------------------------------------- steps

# Every file below a folder, by its path in it.
function Get-Names([string]$folder) {
    return @(Get-ChildItem -LiteralPath $folder -Recurse -File | ForEach-Object { $_.FullName.Substring($folder.Length).TrimStart('\') })
}

# Scripts and tasks of an earlier spec that this one has no more: they would go on running.
function Get-Stale([string[]]$wanted) {
    $tasks = Join-Path $root 'tasks'
    $there = @(Get-ChildItem -LiteralPath $root -File | Where-Object { $_.Extension -in '.nu', '.ps1' } | ForEach-Object { $_.Name })
    if (Test-Path -LiteralPath $tasks) {
        $there += @(Get-ChildItem -LiteralPath $tasks -File | Where-Object { $_.Extension -in '.xml', '.ps1' } | ForEach-Object { 'tasks\' + $_.Name })
    }
    return @($there | Where-Object { $wanted -notcontains $_ })
}

# Whether everything below the folder is there, byte for byte, and nothing of an earlier spec.
function Test-Files([string]$from) {
    $names = Get-Names $from
    foreach ($name in $names) {
        $copy = Join-Path $root $name
        if (-not (Test-Path -LiteralPath $copy)) {
            return $false
        }
        if ((Get-FileHash -LiteralPath $copy).Hash -ne (Get-FileHash -LiteralPath (Join-Path $from $name)).Hash) {
            return $false
        }
    }
    return (@(Get-Stale $names).Count -eq 0)
}

function Test-StepFiles {
    $drive = Find-Drive 'moxc\files'
    if (-not $drive) {
        # The disc is gone: what was copied is what there is.
        return (Test-Path -LiteralPath (Join-Path $root 'moxc.nu'))
    }
    return (Test-Files (Join-Path $drive 'moxc\files'))
}

# Windows itself runs what lies here: nobody but administrators may write (SYSTEM, administrators, users).
function Protect-Root {
    Invoke-Program 'icacls.exe' @(
        "`"$root`"", '/inheritance:r', '/grant:r', '*S-1-5-18:(OI)(CI)F', '*S-1-5-32-544:(OI)(CI)F', '*S-1-5-32-545:(OI)(CI)RX'
    ) @(0)
    $secrets = Join-Path $root 'secrets'
    $null = New-Item -ItemType Directory -Force -Path $secrets
    Invoke-Program 'icacls.exe' @("`"$secrets`"", '/inheritance:r', '/grant:r', '*S-1-5-18:(OI)(CI)F', '*S-1-5-32-544:(OI)(CI)F') @(0)
}

function Invoke-StepFiles {
    $drive = Find-Drive 'moxc\files'
    if (-not $drive) {
        throw 'the disc of answers is in no drive'
    }
    Protect-Root
    # What changed is to be done: the first logon runs again.
    Remove-Item -LiteralPath (Join-Path $state 'start') -Force -ErrorAction SilentlyContinue
    $from = Join-Path $drive 'moxc\files'
    foreach ($name in Get-Stale (Get-Names $from)) {
        Write-Line "  removes $name"
        Remove-Item -LiteralPath (Join-Path $root $name) -Force
    }
    # As bytes: a byte order mark would break Nushell's scripts.
    Copy-Item -Path (Join-Path $from '*') -Destination $root -Recurse -Force
    foreach ($folder in 'packages', 'secrets') {
        $more = Join-Path $drive "moxc\$folder"
        if (Test-Path -LiteralPath $more) {
            $null = New-Item -ItemType Directory -Force -Path (Join-Path $root $folder)
            Copy-Item -Path (Join-Path $more '*') -Destination (Join-Path $root $folder) -Force
        }
    }
    # What comes from a disc cannot be written.
    Get-ChildItem -LiteralPath $root -Recurse -File | ForEach-Object { $_.IsReadOnly = $false }
    if (-not (Test-Files $from)) {
        throw 'the copy differs from the disc'
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

function Test-StepResume {
    return [bool](Get-ScheduledTask -TaskPath $taskFolder -TaskName $taskName -ErrorAction SilentlyContinue)
}

# Until everything is done, the next start goes on, whether somebody logs on or not. The step that registers the tasks
# removes this one.
function Invoke-StepResume {
    $command = '-NoProfile -ExecutionPolicy Bypass -File "{0}"' -f (Join-Path $root 'bootstrap.ps1')
    $action = New-ScheduledTaskAction -Execute 'powershell.exe' -Argument $command
    $triggers = @((New-ScheduledTaskTrigger -AtStartup), (New-ScheduledTaskTrigger -AtLogOn -User $user))
    # SYSTEM, by its SID: its name is another one in every language of Windows.
    $principal = New-ScheduledTaskPrincipal -UserId 'S-1-5-18' -LogonType ServiceAccount -RunLevel Highest
    $settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries
    $null = Register-ScheduledTask -TaskPath $taskFolder -TaskName $taskName -Action $action -Trigger $triggers -Principal $principal -Settings $settings -Force
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

# The version that is there, empty where none is.
function Get-NuVersion {
    if (-not (Test-Path -LiteralPath $nu)) {
        return ''
    }
    return "$(& $nu --version)".Trim()
}

function Test-StepNushell {
    return ((Get-NuVersion) -eq $nuVersion)
}

function Invoke-StepNushell {
    $pinned = $installers | Where-Object { $_.Name -eq 'nushell' }
    $file = $null
    try {
        $file = Get-Installer $pinned
    }
    catch {
        $winget = Get-Winget
        if (-not $winget) {
            throw
        }
        Write-Line "  $($_.Exception.Message); asks winget"
        # -1978335189: there is no newer version. -1978335135: it is installed already.
        Invoke-Program $winget @(
            'install', '--id', 'Nushell.Nushell', '--version', $nuVersion, '--exact', '--source', 'winget', '--scope', 'machine', '--silent',
            '--accept-source-agreements', '--accept-package-agreements', '--disable-interactivity'
        ) @(0, -1978335189, -1978335135)
    }
    if ($file) {
        Install-Msi $file
    }
    if ((Get-NuVersion) -ne $nuVersion) {
        throw "Nushell was installed, but $nu does not say that it is ${nuVersion}: the tasks look for it there"
    }
}

# Each of its settings looks first, so that it costs little where there is nothing to do.
function Test-StepSetup {
    return $false
}

function Invoke-StepSetup {
    try {
        Invoke-Program $nu @('--no-config-file', '--no-std-lib', "`"$(Join-Path $root 'setup.nu')`"") @(0, 3)
    }
    catch {
        # What it says itself is of more use than its status.
        $report = [IO.File]::ReadAllText((Join-Path $root 'state\setup.json')) | ConvertFrom-Json
        $failed = @($report.results | Where-Object { $_.outcome -eq 'failed' } | ForEach-Object { "$($_.what): $($_.detail)" })
        if ($failed.Count -eq 0) {
            throw
        }
        throw ($failed -join '; ')
    }
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
    try {
        Start-ScheduledTask -TaskPath $taskFolder -TaskName 'first-logon'
    }
    catch {
        # Nobody is logged on: it starts when its user is.
        Write-Line "  first-logon: $($_.Exception.Message)"
    }
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

# The copies of the password go first, whatever fails later. The agent comes early: by it the host learns of the rest.
$steps = @('Files', 'Secrets', 'Resume', 'Drivers')
if ($Pushed) {
    $steps = @('Secrets')
}
$steps += @('Nushell', 'Setup', 'Tasks', 'Start')

if ($DryRun) {
    foreach ($step in $steps) {
        Write-Output "  $($step.ToLowerInvariant())"
    }
    Write-Output 'nothing done (-DryRun)'
    exit 0
}

$null = New-Item -ItemType Directory -Force -Path $state
$null = New-Item -ItemType Directory -Force -Path (Join-Path $root 'log')
# Two of them at once would stand in each other's way: one by the first logon, one by the start of Windows.
$once = New-Object Threading.Mutex($false, 'Global\moxc-bootstrap')
if (-not $once.WaitOne(0)) {
    Write-Output 'another run is at it'
    exit 0
}
Start-Transcript -Path (Join-Path $root 'log\bootstrap.log') -Append | Out-Null
$name = ''
try {
    if ($Pushed) {
        Remove-Item -LiteralPath (Join-Path $state 'start') -Force -ErrorAction SilentlyContinue
    }
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
        Write-State 'running' $name ''
        Write-Line "${name}: begins"
        & "Invoke-Step$step"
        Write-Line "${name}: done"
    }
}
catch {
    Write-Line "${name}: failed: $($_.Exception.Message)"
    Write-State 'failed' $name $_.Exception.Message
    [Console]::Error.WriteLine("bootstrap.ps1: stopped in step ${name}: $($_.Exception.Message)")
    Stop-Transcript | Out-Null
    exit 1
}
Stop-Transcript | Out-Null
if ($script:restart) {
    Write-State 'restart' '' ''
    Write-Output 'done; Windows must restart to finish'
    exit 3
}
Write-State 'done' '' ''
Write-Output 'done'
exit 0
