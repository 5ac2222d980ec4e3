# <@ header|safe @>

<#
.SYNOPSIS
Registers the scheduled tasks that lie beside this script, and removes those of the folder \moxc\ that do not.

.DESCRIPTION
A task is registered anew where its file has changed, so that a second run does nothing. Run it as administrator.

Exit status: 0 done or nothing to do, 1 a task could not be registered or removed, 2 wrong usage or missing rights.

.PARAMETER DryRun
Shows what would be done.

.PARAMETER Yes
Accepted as everywhere; there are no questions.

.PARAMETER Force
Registers every task, also those that have not changed.

.PARAMETER Help
Shows this.
#>
[CmdletBinding(PositionalBinding = $false)]
param(
    [switch]$DryRun,
    [switch]$Yes,
    [switch]$Force,
    [switch]$Help,
    [Parameter(ValueFromRemainingArguments = $true)]
    [string[]]$Rest
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$folder = '\moxc\'
$state = Join-Path $env:ProgramData 'moxc\registered'

function Stop-Usage([string]$message) {
    [Console]::Error.WriteLine("register.ps1: $message")
    exit 2
}

# What was registered last is remembered as the hash of the file: Windows gives a task back in words of its own.
function Get-Known([string]$name) {
    $file = Join-Path $state $name
    if (Test-Path -LiteralPath $file) {
        return [IO.File]::ReadAllText($file)
    }
    return ''
}

function Get-Registered {
    # The folder is not there before the first task is.
    return @(Get-ScheduledTask -TaskPath $folder -ErrorAction SilentlyContinue | ForEach-Object { $_.TaskName })
}

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

$changes = 0
$failures = 0
$registered = Get-Registered
$files = @(Get-ChildItem -LiteralPath $PSScriptRoot -Filter '*.xml' | Sort-Object Name)

foreach ($file in $files) {
    $name = $file.BaseName
    $hash = (Get-FileHash -LiteralPath $file.FullName -Algorithm SHA256).Hash
    if (-not $Force -and $registered -contains $name -and (Get-Known $name) -eq $hash) {
        continue
    }
    $changes++
    Write-Output "  register $folder$name"
    if ($DryRun) {
        continue
    }
    try {
        # The file is UTF-16 with a byte order mark, and says so; the string that is read from it is UTF-16 as well.
        $xml = [IO.File]::ReadAllText($file.FullName)
        $null = Register-ScheduledTask -TaskPath $folder -TaskName $name -Xml $xml -Force
        $null = New-Item -ItemType Directory -Force -Path $state
        [IO.File]::WriteAllText((Join-Path $state $name), $hash)
    }
    catch {
        $failures++
        [Console]::Error.WriteLine("register.ps1: ${name}: $($_.Exception.Message)")
    }
}

$wanted = @($files | ForEach-Object { $_.BaseName })
foreach ($name in $registered) {
    if ($wanted -contains $name) {
        continue
    }
    $changes++
    Write-Output "  remove $folder$name"
    if ($DryRun) {
        continue
    }
    try {
        Unregister-ScheduledTask -TaskPath $folder -TaskName $name -Confirm:$false
        Remove-Item -LiteralPath (Join-Path $state $name) -Force -ErrorAction SilentlyContinue
    }
    catch {
        $failures++
        [Console]::Error.WriteLine("register.ps1: ${name}: $($_.Exception.Message)")
    }
}

if ($failures) {
    [Console]::Error.WriteLine("register.ps1: $failures of $changes changes failed")
    exit 1
}
if (-not $changes) {
    Write-Output 'nothing to change'
}
elseif ($DryRun) {
    Write-Output "$changes changes, none made (-DryRun)"
}
else {
    Write-Output "$changes changes made"
}
exit 0
