# Windows Update by its documented interface, the COM classes of the Windows Update Agent. The request is JSON in
# MOXC_REQUEST (`do`: check or install; `optional`: optional updates, too); the answer is one line of JSON, all of it ASCII.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

# The console's code page may not hold a character, so those beyond ASCII go out by their numbers.
function Write-Answer($answer) {
    $json = ConvertTo-Json -InputObject $answer -Compress -Depth 6
    $ascii = [regex]::Replace($json, '[^\x20-\x7e]', { param($match) '\u{0:x4}' -f [int][char]$match.Value })
    [Console]::Out.WriteLine($ascii)
}

# The category `Upgrades`: the next release of Windows. That is for a person to decide.
$upgrades = '3689bdc8-b205-4af4-8d4a-a63924c5e9d5'

function Get-Left($update) {
    foreach ($category in $update.Categories) {
        if ($category.CategoryID -eq $upgrades) { return 'the next release of Windows: install it by hand' }
    }
    if ($update.InstallationBehavior.CanRequestUserInput) { return 'asks questions: install it by hand' }
    return ''
}

# OperationResultCode of the Windows Update Agent.
$results = @('not started', 'in progress', 'succeeded', 'succeeded with errors', 'failed', 'aborted')

function Get-Answer($request) {
    $session = New-Object -ComObject 'Microsoft.Update.Session'
    $session.ClientApplicationID = 'moxc'
    $system = New-Object -ComObject 'Microsoft.Update.SystemInfo'
    # Drivers come from virtio-win and from the makers of the hardware, not from here.
    $criteria = "IsInstalled=0 and IsHidden=0 and Type='Software'"
    # BrowseOnly: optional updates, as previews of the next month's.
    if (-not $request.optional) { $criteria += ' and BrowseOnly=0' }
    $found = $session.CreateUpdateSearcher().Search($criteria)
    $updates = @()
    $wanted = New-Object -ComObject 'Microsoft.Update.UpdateColl'
    foreach ($update in $found.Updates) {
        $left = Get-Left $update
        if ($left -eq '') {
            if (-not $update.EulaAccepted -and $request.do -eq 'install') { $update.AcceptEula() }
            $wanted.Add($update) | Out-Null
        }
        $updates += @{
            title = [string]$update.Title
            bytes = [long]$update.MaxDownloadSize
            left = $left
            result = ''
            code = 0
        }
    }
    $answer = @{ updates = @($updates); reboot = [bool]$system.RebootRequired; busy = '' }
    if ($request.do -ne 'install' -or $wanted.Count -eq 0) { return $answer }

    $installer = $session.CreateUpdateInstaller()
    if ($installer.IsBusy) {
        $answer.busy = 'another installation is running'
        return $answer
    }
    $downloader = $session.CreateUpdateDownloader()
    $downloader.Updates = $wanted
    $downloaded = $downloader.Download()
    if ($downloaded.ResultCode -gt 3) {
        $code = '0x{0:X8}' -f $downloaded.HResult
        return @{ error = ('the download ' + $results[$downloaded.ResultCode] + ': ' + $code); code = $code }
    }
    if ($installer.RebootRequiredBeforeInstallation) {
        $answer.reboot = $true
        return $answer
    }
    $ready = New-Object -ComObject 'Microsoft.Update.UpdateColl'
    foreach ($update in $wanted) { if ($update.IsDownloaded) { $ready.Add($update) | Out-Null } }
    $outcome = @{}
    if ($ready.Count -gt 0) {
        $installer.Updates = $ready
        $installed = $installer.Install()
        for ($at = 0; $at -lt $ready.Count; $at++) {
            $one = $installed.GetUpdateResult($at)
            $outcome[[string]$ready.Item($at).Title] = @{ result = $results[$one.ResultCode]; code = [int]$one.HResult }
        }
        if ($installed.RebootRequired) { $answer.reboot = $true }
    }
    foreach ($update in $answer.updates) {
        if ($update.left -ne '') { continue }
        if ($outcome.ContainsKey($update.title)) {
            $update.result = $outcome[$update.title].result
            $update.code = $outcome[$update.title].code
        } else {
            $update.result = 'not downloaded'
        }
    }
    return $answer
}

try {
    $answer = Get-Answer (ConvertFrom-Json -InputObject $env:MOXC_REQUEST)
    Write-Answer $answer
    exit [int]$answer.ContainsKey('error')
} catch {
    Write-Answer @{ error = $_.Exception.Message; code = '0x{0:X8}' -f $_.Exception.GetBaseException().HResult }
    exit 1
}
