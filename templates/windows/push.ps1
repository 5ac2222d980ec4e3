# <@ header|safe @>

<#
.SYNOPSIS
Takes new scripts and tasks from the host, in a guest that runs.

.DESCRIPTION
The host hands this script to PowerShell by the guest's agent, with the data on standard input behind it: it needs no file
in the guest. It is run by build-iso.sh --push and by nobody else. The lines behind the first:

  hashes                      tells the SHA-256 of every script and task that is there
  put                         keeps files aside: each line is SHA-256, path and contents, the last two in base64
  secrets                     keeps secrets where administrators alone may read them: each line is name and contents, in
                              base64
  settle                      puts what was kept aside in its place, and removes scripts and tasks that are in none of the
                              lines: each is SHA-256 and path

The answer is one line of JSON: {"files":[{"path":...,"sha256":...}],"removed":[...],"error":""}.
#>
param([string[]]$lines)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
$root = Join-Path $env:ProgramData 'moxc'
$aside = Join-Path $root 'state\push'

function Write-Answer($files, $removed, [string]$problem) {
    $json = ConvertTo-Json -InputObject @{ files = @($files); removed = @($removed); error = $problem } -Compress -Depth 4
    [Console]::Out.WriteLine([regex]::Replace($json, '[^\x20-\x7e]', { param($match) '\u{0:x4}' -f [int][char]$match.Value }))
}

function Get-Text([string]$base64) {
    return [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($base64))
}

# A path of the tree: names with a single backslash between them, and nothing that leads elsewhere.
function Get-Name([string]$base64) {
    $name = (Get-Text $base64).Replace('/', '\')
    if ($name -notmatch '^[A-Za-z0-9_][A-Za-z0-9_.-]*(\\[A-Za-z0-9_][A-Za-z0-9_.-]*)*$') {
        throw "no path of the tree: $name"
    }
    return $name
}

function Get-Hash([string]$file) {
    return (Get-FileHash -LiteralPath $file -Algorithm SHA256).Hash.ToLowerInvariant()
}

# The scripts and tasks that are there.
function Get-There {
    $there = @(Get-ChildItem -LiteralPath $root -File | Where-Object { $_.Extension -in '.nu', '.ps1' } | ForEach-Object { $_.Name })
    $tasks = Join-Path $root 'tasks'
    if (Test-Path -LiteralPath $tasks) {
        $there += @(Get-ChildItem -LiteralPath $tasks -File | Where-Object { $_.Extension -in '.xml', '.ps1' } | ForEach-Object { 'tasks\' + $_.Name })
    }
    return $there
}

function Get-Told([string[]]$names, [string]$folder) {
    return @($names | ForEach-Object { @{ path = $_.Replace('\', '/'); sha256 = (Get-Hash (Join-Path $folder $_)) } })
}

function Invoke-Put([string[]]$rows) {
    $names = @()
    foreach ($row in $rows) {
        $parts = $row.Split(' ')
        $name = Get-Name $parts[1]
        $file = Join-Path $aside $name
        $null = New-Item -ItemType Directory -Force -Path (Split-Path -Parent $file)
        # As bytes: a byte order mark would break Nushell's scripts.
        [IO.File]::WriteAllBytes($file, [Convert]::FromBase64String($parts[2]))
        if ((Get-Hash $file) -ne $parts[0]) {
            throw "$name came with another SHA-256"
        }
        $names += $name
    }
    Write-Answer (Get-Told $names $aside) @() ''
}

function Invoke-Settle([string[]]$rows) {
    $wanted = @{}
    foreach ($row in $rows) {
        $parts = $row.Split(' ')
        $wanted[(Get-Name $parts[1])] = $parts[0]
    }
    # All of it is there before the first file is changed.
    foreach ($name in $wanted.Keys) {
        $kept = Join-Path $aside $name
        $place = Join-Path $root $name
        $found = @($kept, $place | Where-Object { (Test-Path -LiteralPath $_) -and (Get-Hash $_) -eq $wanted[$name] })
        if ($found.Count -eq 0) {
            throw "$name is not there"
        }
    }
    foreach ($name in $wanted.Keys) {
        $kept = Join-Path $aside $name
        if (Test-Path -LiteralPath $kept) {
            $place = Join-Path $root $name
            $null = New-Item -ItemType Directory -Force -Path (Split-Path -Parent $place)
            Move-Item -LiteralPath $kept -Destination $place -Force
        }
    }
    $removed = @(Get-There | Where-Object { -not $wanted.ContainsKey($_) })
    foreach ($name in $removed) {
        Remove-Item -LiteralPath (Join-Path $root $name) -Force
    }
    Remove-Item -LiteralPath $aside -Recurse -Force -ErrorAction SilentlyContinue
    Write-Answer (Get-Told @($wanted.Keys) $root) @($removed | ForEach-Object { $_.Replace('\', '/') }) ''
}

# No word of them is answered, nor a hash.
function Invoke-Secrets([string[]]$rows) {
    $secrets = Join-Path $root 'secrets'
    if (-not (Test-Path -LiteralPath $secrets)) { throw 'there is no folder for secrets: this machine was not set up by its disc' }
    foreach ($row in $rows) {
        $parts = $row.Split(' ')
        $name = Get-Name $parts[0]
        if ($name.Contains('\')) { throw "no name of a secret: $name" }
        [IO.File]::WriteAllBytes((Join-Path $secrets $name), [Convert]::FromBase64String($parts[1]))
    }
    Write-Answer @() @() ''
}

try {
    $rows = @($lines | ForEach-Object { "$_".Trim() } | Where-Object { $_ -ne '' })
    # The first is this script, the second what to do.
    $rest = @($rows | Select-Object -Skip 2)
    switch ($rows[1]) {
        'hashes' { Write-Answer (Get-Told (Get-There) $root) @() '' }
        'put' { Invoke-Put $rest }
        'secrets' { Invoke-Secrets $rest }
        'settle' { Invoke-Settle $rest }
        default { throw "nothing to do: $($rows[1])" }
    }
    exit 0
}
catch {
    Write-Answer @() @() $_.Exception.Message
    exit 1
}
