<#
.SYNOPSIS
Holds a generated tree against Windows itself: what no other system can say of it.

.DESCRIPTION
Run it as administrator on a machine that may be thrown away: it registers tasks and makes a user. It asks the parser of
the PowerShell that runs it, the Task Scheduler, and every nu.exe that is named. What else it makes, it removes.

on-windows.ps1 -Tree generated\pve1\windows\windows -User gamer -Nu a\nu.exe, b\nu.exe
#>
param(
    [Parameter(Mandatory = $true)]
    [string]$Tree,
    [Parameter(Mandatory = $true)]
    [string]$User,
    [string[]]$Nu = @()
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
$failures = 0

function Test-That([string]$what, [scriptblock]$check) {
    try {
        & $check
        Write-Output "ok      $what"
    }
    catch {
        $script:failures++
        Write-Output "failed  ${what}: $($_.Exception.Message)"
    }
}

function Assert-Status([int]$wanted, [string]$what) {
    if ($LASTEXITCODE -ne $wanted) {
        throw "$what ended with $LASTEXITCODE and not $wanted"
    }
}

$Tree = (Resolve-Path -LiteralPath $Tree).Path
$shell = (Get-Process -Id $PID).Path
Write-Output "PowerShell $($PSVersionTable.PSVersion), $([Environment]::OSVersion.VersionString)"

foreach ($file in Get-ChildItem -LiteralPath $Tree -Recurse -Filter '*.ps1') {
    Test-That "parses: $($file.Name)" {
        $tokens = $null
        $errors = $null
        $null = [Management.Automation.Language.Parser]::ParseFile($file.FullName, [ref]$tokens, [ref]$errors)
        if ($errors) {
            throw ($errors | ForEach-Object { "$($_.Extent.StartLineNumber): $($_.Message)" }) -join '; '
        }
    }
}

Test-That 'the answers are XML' {
    $answers = New-Object Xml.XmlDocument
    $answers.Load((Join-Path $Tree 'autounattend.xml'))
    if ($answers.DocumentElement.LocalName -ne 'unattend') {
        throw $answers.DocumentElement.LocalName
    }
}

# The tasks name the guest's user, and the Task Scheduler wants to know whom it starts.
if (-not (Get-LocalUser -Name $User -ErrorAction SilentlyContinue)) {
    $null = New-LocalUser -Name $User -NoPassword
}

$tasks = @(Get-ChildItem -LiteralPath (Join-Path $Tree 'tasks') -Filter '*.xml')
foreach ($file in $tasks) {
    Test-That "schtasks takes $($file.Name)" {
        $said = schtasks.exe /Create /F /TN "\moxc-trial\$($file.BaseName)" /XML $file.FullName 2>&1
        if ($LASTEXITCODE) {
            throw "$said"
        }
        schtasks.exe /Delete /F /TN "\moxc-trial\$($file.BaseName)" | Out-Null
    }
}

$copy = Join-Path ([IO.Path]::GetTempPath()) 'moxc-tasks'
Remove-Item -LiteralPath $copy -Recurse -Force -ErrorAction SilentlyContinue
Copy-Item -LiteralPath (Join-Path $Tree 'tasks') -Destination $copy -Recurse
$register = Join-Path $copy 'register.ps1'

Test-That 'register.ps1 -DryRun registers nothing' {
    & $shell -NoProfile -ExecutionPolicy Bypass -File $register -DryRun | Out-Null
    Assert-Status 0 'register.ps1'
    if (Get-ScheduledTask -TaskPath '\moxc\' -ErrorAction SilentlyContinue) {
        throw 'there are tasks'
    }
}
Test-That 'register.ps1 registers every task' {
    & $shell -NoProfile -ExecutionPolicy Bypass -File $register
    Assert-Status 0 'register.ps1'
    $there = @(Get-ScheduledTask -TaskPath '\moxc\')
    if ($there.Count -ne $tasks.Count) {
        throw "$($there.Count) of $($tasks.Count)"
    }
    foreach ($task in $there) {
        if ($task.Actions[0].Execute -notlike '*\nu.exe') {
            throw "$($task.TaskName): $($task.Actions[0].Execute)"
        }
    }
}
Test-That 'a second run of register.ps1 does nothing' {
    $said = & $shell -NoProfile -ExecutionPolicy Bypass -File $register
    Assert-Status 0 'register.ps1'
    if ("$said" -ne 'nothing to change') {
        throw "$said"
    }
}
Test-That 'register.ps1 removes what the tree no longer has' {
    Remove-Item -LiteralPath (Join-Path $copy 'first-logon.xml')
    & $shell -NoProfile -ExecutionPolicy Bypass -File $register | Out-Null
    Assert-Status 0 'register.ps1'
    if (Get-ScheduledTask -TaskPath '\moxc\' -TaskName 'first-logon' -ErrorAction SilentlyContinue) {
        throw 'it is still there'
    }
    foreach ($task in Get-ScheduledTask -TaskPath '\moxc\') {
        Unregister-ScheduledTask -TaskPath '\moxc\' -TaskName $task.TaskName -Confirm:$false
    }
}
Test-That 'bootstrap.ps1 -DryRun changes nothing' {
    & $shell -NoProfile -ExecutionPolicy Bypass -File (Join-Path $Tree 'bootstrap.ps1') -DryRun
    Assert-Status 0 'bootstrap.ps1'
    if (Test-Path -LiteralPath (Join-Path $env:ProgramData 'moxc\log\bootstrap.log')) {
        throw 'it wrote a log'
    }
}
Test-That 'bootstrap.ps1 refuses words that it does not know' {
    & $shell -NoProfile -ExecutionPolicy Bypass -File (Join-Path $Tree 'bootstrap.ps1') what 2>$null
    Assert-Status 2 'bootstrap.ps1'
}

# What the scripts ask of Windows, by the PowerShell that they ask.
$questions = @(
    '{"do":"cards"}', '{"do":"disks"}', '{"do":"letters"}', '{"do":"volumes"}', '{"do":"path"}',
    '{"do":"drive","letter":"C"}', '{"do":"place","path":"C:\\Windows"}', '{"do":"rule","name":"moxc-none"}',
    '{"do":"task","name":"none"}', '{"do":"service","name":"Schedule"}', '{"do":"events","days":1}',
    '{"do":"registry","key":"HKLM:\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion","name":"ProductName"}',
    '{"do":"environment","variables":[{"name":"MOXC_X","value":"%TEMP%"}]}'
)
foreach ($question in $questions) {
    Test-That "moxc.ps1 answers $question" {
        $env:MOXC_REQUEST = $question
        $said = powershell.exe -NoProfile -ExecutionPolicy Bypass -File (Join-Path $Tree 'moxc.ps1')
        $env:MOXC_REQUEST = ''
        $answer = "$said" | ConvertFrom-Json
        if ($LASTEXITCODE -or $answer.PSObject.Properties.Name -contains 'error') {
            throw "$said"
        }
    }
}
Test-That 'a registry value, a rule of the firewall and a link come and go' {
    $ask = {
        param($request)
        $env:MOXC_REQUEST = ConvertTo-Json -InputObject $request -Compress
        $said = powershell.exe -NoProfile -ExecutionPolicy Bypass -File (Join-Path $Tree 'moxc.ps1')
        $env:MOXC_REQUEST = ''
        if ($LASTEXITCODE) {
            throw "$said"
        }
        "$said" | ConvertFrom-Json
    }
    $key = 'HKLM:\SOFTWARE\moxc-trial'
    $null = & $ask @{ do = 'set-registry'; key = $key; name = 'x'; value = 1 }
    if ((& $ask @{ do = 'registry'; key = $key; name = 'x' }).value -ne 1) {
        throw 'the value is not there'
    }
    $null = & $ask @{ do = 'unset-registry'; key = $key; name = 'x' }
    if ($null -ne (& $ask @{ do = 'registry'; key = $key; name = 'x' }).value) {
        throw 'the value is still there'
    }
    Remove-Item -Path $key
    $null = & $ask @{ do = 'set-rule'; name = 'moxc-trial'; title = 'trial'; port = '47001' }
    if ((& $ask @{ do = 'rule'; name = 'moxc-trial' }).port -ne '47001') {
        throw 'the rule is not there'
    }
    $null = & $ask @{ do = 'remove-rule'; name = 'moxc-trial' }
    $to = Join-Path ([IO.Path]::GetTempPath()) 'moxc-to'
    $at = Join-Path ([IO.Path]::GetTempPath()) 'moxc-at'
    $null = New-Item -ItemType Directory -Force -Path $to
    $null = & $ask @{ do = 'link'; at = $at; to = $to }
    # A second time it is made anew.
    $null = & $ask @{ do = 'link'; at = $at; to = $to }
    if (-not (& $ask @{ do = 'place'; path = $at }).link) {
        throw 'there is no link'
    }
    [IO.Directory]::Delete($at, $false)
    Remove-Item -LiteralPath $to
}
Test-That 'disk.vbs tells that disk 0 is another one' {
    cscript.exe //nologo (Join-Path $Tree 'disk.vbs') 'no-such-serial' '1' | Out-Null
    Assert-Status 1 'disk.vbs'
}
Test-That 'disk.vbs knows disk 0 by its size and serial number' {
    $disk = Get-CimInstance -ClassName Win32_DiskDrive | Where-Object { $_.Index -eq 0 }
    cscript.exe //nologo (Join-Path $Tree 'disk.vbs') "$($disk.SerialNumber)".Trim() "$($disk.Size)"
    # It holds partitions.
    Assert-Status 3 'disk.vbs'
}
Test-That 'push.ps1 takes files by its standard input, as the agent hands them over' {
    $root = Join-Path $env:ProgramData 'moxc'
    $null = New-Item -ItemType Directory -Force -Path $root
    $encode = { param($bytes) [Convert]::ToBase64String($bytes) }
    $text = [Text.Encoding]::UTF8.GetBytes('# trial')
    $hash = [BitConverter]::ToString([Security.Cryptography.SHA256]::Create().ComputeHash($text)).Replace('-', '').ToLowerInvariant()
    $script = & $encode ([IO.File]::ReadAllBytes((Join-Path $Tree 'push.ps1')))
    $name = & $encode ([Text.Encoding]::UTF8.GetBytes('tasks/trial.ps1'))
    $receiver = '$l=@($input); if ($l.Count -eq 0) { $l=[Console]::In.ReadToEnd().Split([char]10) }; & ([scriptblock]::Create([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($l[0])))) $l'
    foreach ($part in @("put`n$hash $name $(& $encode $text)", "settle`n$hash $name")) {
        $said = "$script`n$part`n" | powershell.exe -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -Command $receiver
        $answer = "$said" | ConvertFrom-Json
        if ($answer.error -or $answer.files[0].sha256 -ne $hash) {
            throw "$said"
        }
    }
    Remove-Item -LiteralPath $root -Recurse -Force
}

foreach ($program in $Nu) {
    $version = & $program --version
    foreach ($file in Get-ChildItem -LiteralPath $Tree -Filter '*.nu') {
        Test-That "nu $version loads $($file.Name)" {
            & $program --no-config-file --no-std-lib $file.FullName --help | Out-Null
            # A module has no main and so no help of its own; what it lacks nu says as another error.
            if ($LASTEXITCODE -and $file.Name -notin 'moxc.nu', 'config.nu') {
                throw "status $LASTEXITCODE"
            }
        }
    }
    Test-That "nu $version tries the settings of the machine" {
        $said = & $program --no-config-file --no-std-lib (Join-Path $Tree 'setup.nu') --dry-run --json
        $report = "$said" | ConvertFrom-Json
        if ($report.script -ne 'setup' -or -not $report.dry_run) {
            throw "$said"
        }
    }
    Test-That "nu $version tries the first logon" {
        $said = & $program --no-config-file --no-std-lib (Join-Path $Tree 'first-logon.nu') --dry-run --json
        $report = "$said" | ConvertFrom-Json
        if ($report.script -ne 'first-logon' -or -not $report.dry_run) {
            throw "$said"
        }
    }
}

if ($failures) {
    Write-Output "$failures failed"
    exit 1
}
Write-Output 'all is well'
