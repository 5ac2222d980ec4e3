# What Nushell cannot ask Windows itself. The request is JSON in MOXC_REQUEST, with the question in its field `do`; the
# answer is one line of JSON, all of it ASCII. A failure is {"error": "..."} and the exit code 1.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

# The console's code page may not hold a character, so those beyond ASCII go out by their numbers.
function Write-Answer($answer) {
    $json = ConvertTo-Json -InputObject $answer -Compress -Depth 6
    $ascii = [regex]::Replace($json, '[^\x20-\x7e]', { param($match) '\u{0:x4}' -f [int][char]$match.Value })
    [Console]::Out.WriteLine($ascii)
}

# Values as they are stored: %NAME% stays %NAME%.
function Get-UserVariable($name) {
    $key = [Microsoft.Win32.Registry]::CurrentUser.OpenSubKey('Environment')
    if ($null -eq $key) { return $null }
    $key.GetValue($name, $null, [Microsoft.Win32.RegistryValueOptions]::DoNotExpandEnvironmentNames)
}

function Set-UserVariable($name, $value) {
    $kind = [Microsoft.Win32.RegistryValueKind]::String
    if ($value -match '%[^%]+%') { $kind = [Microsoft.Win32.RegistryValueKind]::ExpandString }
    $key = [Microsoft.Win32.Registry]::CurrentUser.CreateSubKey('Environment')
    $key.SetValue($name, $value, $kind)
    # Removing a variable that is not there tells all windows that the environment has changed.
    [Environment]::SetEnvironmentVariable('MOXC_CHANGED', $null, 'User')
}

function Get-Answer($request) {
    switch ($request.do) {
        'signature' {
            $signature = Get-AuthenticodeSignature -LiteralPath $request.file
            $subject = ''
            if ($null -ne $signature.SignerCertificate) { $subject = [string]$signature.SignerCertificate.Subject }
            return @{ status = [string]$signature.Status; subject = $subject }
        }
        'register-winget' {
            Add-AppxPackage -RegisterByFamilyName -MainPackage 'Microsoft.DesktopAppInstaller_8wekyb3d8bbwe'
            return @{ registered = $true }
        }
        'environment' {
            $variables = @($request.variables | ForEach-Object {
                @{
                    name = [string]$_.name
                    value = [string]$_.value
                    now = Get-UserVariable $_.name
                    expanded = [Environment]::ExpandEnvironmentVariables([string]$_.value)
                }
            })
            return @{ variables = $variables }
        }
        'set-environment' {
            Set-UserVariable ([string]$request.name) ([string]$request.value)
            return @{ set = $request.name }
        }
        'path' {
            return @{ now = [string](Get-UserVariable 'Path') }
        }
        'add-path' {
            $now = [string](Get-UserVariable 'Path')
            $all = @($now.Split(';') | Where-Object { $_ -ne '' }) + [string]$request.folder
            Set-UserVariable 'Path' ($all -join ';')
            return @{ added = $request.folder }
        }
        'service' {
            $service = Get-CimInstance -ClassName Win32_Service | Where-Object { $_.Name -eq $request.name }
            if ($null -eq $service) { return @{ there = $false; running = $false; start = ''; delayed = $false; program = '' } }
            $key = 'HKLM:\SYSTEM\CurrentControlSet\Services\' + $request.name
            $delayed = [bool](Get-ItemProperty -LiteralPath $key -Name 'DelayedAutostart' -ErrorAction SilentlyContinue).DelayedAutostart
            $program = [string]$service.PathName
            if ($program -match '^"([^"]+)"') { $program = $Matches[1] }
            elseif ($program -match '^(.+?\.exe)(\s|$)') { $program = $Matches[1] }
            return @{
                there = $true
                running = ($service.State -eq 'Running')
                start = [string]$service.StartMode
                delayed = $delayed
                program = $program
            }
        }
        'registry' {
            $item = Get-ItemProperty -LiteralPath $request.key -Name $request.name -ErrorAction SilentlyContinue
            $value = $null
            if ($null -ne $item) { $value = $item.($request.name) }
            return @{ value = $value }
        }
        'set-registry' {
            if (-not (Test-Path -LiteralPath $request.key)) { New-Item -Path $request.key -Force | Out-Null }
            $kind = 'String'
            if ($request.value -isnot [string]) { $kind = 'DWord' }
            New-ItemProperty -LiteralPath $request.key -Name $request.name -Value $request.value -PropertyType $kind -Force | Out-Null
            return @{ set = $request.name }
        }
        'volumes' {
            $volumes = @(Get-Volume | Where-Object { $_.DriveType -eq 'Fixed' -and $_.DriveLetter } | ForEach-Object {
                @{
                    letter = [string]$_.DriveLetter
                    size = [long]$_.Size
                    free = [long]$_.SizeRemaining
                    health = [string]$_.HealthStatus
                }
            })
            return @{ volumes = $volumes }
        }
        'trim' {
            Optimize-Volume -DriveLetter $request.letter -ReTrim
            return @{ trimmed = $request.letter }
        }
        'events' {
            $filter = @{ LogName = 'System', 'Application'; Level = 1, 2; StartTime = (Get-Date).AddDays(-[int]$request.days) }
            # No event at all is an error of the command, and good news here.
            $found = @(Get-WinEvent -FilterHashtable $filter -ErrorAction SilentlyContinue)
            $groups = @($found | Group-Object -Property @('ProviderName', 'Id') | Sort-Object -Property Count -Descending | Select-Object -First 20 | ForEach-Object {
                $newest = $_.Group[0]
                $message = [string]$newest.Message
                @{
                    provider = [string]$newest.ProviderName
                    id = [int]$newest.Id
                    count = [int]$_.Count
                    newest = $newest.TimeCreated.ToString('s')
                    message = ($message -split '[\r\n]+')[0]
                }
            })
            return @{ count = $found.Count; events = $groups }
        }
    }
    throw ('no question `' + $request.do + '`')
}

try {
    Write-Answer (Get-Answer (ConvertFrom-Json -InputObject $env:MOXC_REQUEST))
    exit 0
} catch {
    Write-Answer @{ error = $_.Exception.Message }
    exit 1
}
