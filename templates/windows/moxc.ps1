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

# One family of addresses of a card: what was set by hand, and whether the rest comes by itself.
function Get-Family($index, $family, $all, $service, $guid) {
    $place = @{ InterfaceIndex = $index; AddressFamily = $family; ErrorAction = 'SilentlyContinue' }
    $interface = Get-NetIPInterface @place
    $key = "HKLM:\SYSTEM\CurrentControlSet\Services\$service\Parameters\Interfaces\$guid"
    $servers = [string](Get-ItemProperty -LiteralPath $key -Name 'NameServer' -ErrorAction SilentlyContinue).NameServer
    return @{
        automatic = ($null -ne $interface -and [string]$interface.Dhcp -eq 'Enabled')
        addresses = @(Get-NetIPAddress @place | Where-Object { $_.PrefixOrigin -eq 'Manual' } | ForEach-Object { '{0}/{1}' -f $_.IPAddress, $_.PrefixLength })
        gateways = @(Get-NetRoute @place -DestinationPrefix $all | ForEach-Object { [string]$_.NextHop })
        servers = @($servers.Split(', '.ToCharArray()) | Where-Object { $_ -ne '' })
    }
}

# The groups that an account may be in, by their SIDs: their names are others in every language.
$administrators = 'S-1-5-32-544'
$users = 'S-1-5-32-545'
$remote = 'S-1-5-32-555'

# An account of this machine, or nothing.
function Get-Account($name) {
    Get-LocalUser | Where-Object { $_.Name -eq [string]$name }
}

# `Get-LocalGroupMember` fails where a group holds an account of a domain that does not answer.
function Test-Member($account, $group) {
    $name = (Get-LocalGroup -SID $group).Name
    $members = @(([ADSI]('WinNT://./' + $name + ',group')).Invoke('Members'))
    foreach ($member in $members) {
        $sid = $member.GetType().InvokeMember('objectSid', 'GetProperty', $null, $member, $null)
        if ((New-Object Security.Principal.SecurityIdentifier($sid, 0)).Value -eq $account.SID.Value) { return $true }
    }
    return $false
}

function Set-Member($account, $group, $wanted) {
    if ((Test-Member $account $group) -eq [bool]$wanted) { return }
    if ($wanted) { Add-LocalGroupMember -SID $group -Member $account.SID }
    else { Remove-LocalGroupMember -SID $group -Member $account.SID }
}

# The lines of a secret's file, as they are: they reach no argument and no answer.
function Get-Secret($file, $lines) {
    $found = @([IO.File]::ReadAllLines([string]$file) | Where-Object { $_ -ne '' })
    if ($found.Count -lt $lines) { throw ('the secret ' + [IO.Path]::GetFileName([string]$file) + ' has too few lines') }
    return $found
}

# The partitions of a disk that hold data, or may; what Windows itself reserves is none.
function Get-Data($number) {
    Get-Partition -DiskNumber $number -ErrorAction SilentlyContinue | Where-Object { $_.Type -ne 'Reserved' }
}

function Get-Answer($request) {
    switch ($request.do) {
        'signature' {
            $signature = Get-AuthenticodeSignature -LiteralPath $request.file
            $subject = ''
            if ($null -ne $signature.SignerCertificate) { $subject = [string]$signature.SignerCertificate.Subject }
            return @{ status = [string]$signature.Status; subject = $subject }
        }
        'run-installer' {
            # The file has passed its SHA-256. -Wait waits for what it starts, too.
            $process = Start-Process -FilePath ([string]$request.file) -ArgumentList @($request.arguments | ForEach-Object { [string]$_ }) -Wait -PassThru
            return @{ code = [int]$process.ExitCode }
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
        'cards' {
            $cards = @(Get-NetAdapter | ForEach-Object {
                $index = $_.ifIndex
                @{
                    mac = ([string]$_.MacAddress).Replace('-', ':').ToUpperInvariant()
                    index = [int]$index
                    name = [string]$_.Name
                    four = Get-Family $index 'IPv4' '0.0.0.0/0' 'Tcpip' $_.InterfaceGuid
                    six = Get-Family $index 'IPv6' '::/0' 'Tcpip6' $_.InterfaceGuid
                }
            })
            return @{ cards = $cards }
        }
        'set-card' {
            $all = @{ IPv4 = '0.0.0.0/0'; IPv6 = '::/0' }[[string]$request.family]
            $place = @{ InterfaceIndex = [int]$request.index; AddressFamily = [string]$request.family }
            Get-NetRoute @place -DestinationPrefix $all -ErrorAction SilentlyContinue | Remove-NetRoute -Confirm:$false
            Get-NetIPAddress @place -ErrorAction SilentlyContinue | Where-Object { $_.PrefixOrigin -eq 'Manual' } | Remove-NetIPAddress -Confirm:$false
            $dhcp = 'Disabled'
            if ($request.automatic) { $dhcp = 'Enabled' }
            Set-NetIPInterface @place -Dhcp $dhcp
            foreach ($address in $request.addresses) {
                $parts = ([string]$address).Split('/')
                New-NetIPAddress @place -IPAddress $parts[0] -PrefixLength ([int]$parts[1]) | Out-Null
            }
            if ($request.gateway -ne '') {
                New-NetRoute @place -DestinationPrefix $all -NextHop ([string]$request.gateway) | Out-Null
            }
            return @{ set = $request.index }
        }
        'set-servers' {
            $index = [int]$request.index
            # Both families at once: that is how Windows keeps them.
            Set-DnsClientServerAddress -InterfaceIndex $index -ResetServerAddresses
            if (@($request.servers).Count -gt 0) {
                Set-DnsClientServerAddress -InterfaceIndex $index -ServerAddresses @($request.servers | ForEach-Object { [string]$_ })
            }
            return @{ set = $request.index }
        }
        'disks' {
            $disks = @(Get-Disk | ForEach-Object {
                @{
                    number = [int]$_.Number
                    serial = ([string]$_.SerialNumber).Trim()
                    size = [long]$_.Size
                    system = [bool]($_.IsBoot -or $_.IsSystem)
                    partitions = @(Get-Data $_.Number).Count
                }
            })
            return @{ disks = $disks }
        }
        'letters' {
            $letters = @(Get-CimInstance -ClassName Win32_Volume | Where-Object { $_.DriveLetter } | ForEach-Object {
                $letter = ([string]$_.DriveLetter).Substring(0, 1)
                $partition = Get-Partition -DriveLetter $letter -ErrorAction SilentlyContinue
                $disk = -1
                if ($null -ne $partition) { $disk = [int]$partition.DiskNumber }
                @{
                    letter = $letter
                    # Win32_Volume: 3 is a disk, 5 a disc.
                    kind = [int]$_.DriveType
                    format = [string]$_.FileSystem
                    label = [string]$_.Label
                    disk = $disk
                }
            })
            return @{ letters = $letters }
        }
        'move-letter' {
            $volume = Get-CimInstance -ClassName Win32_Volume | Where-Object { $_.DriveLetter -eq ([string]$request.from + ':') }
            if ($null -eq $volume) { throw ('no drive ' + $request.from) }
            Set-CimInstance -InputObject $volume -Property @{ DriveLetter = ([string]$request.to + ':') }
            return @{ moved = $request.to }
        }
        'format-disk' {
            $number = [int]$request.number
            if (@(Get-Data $number).Count -gt 0) { throw ('disk ' + $number + ' holds partitions') }
            $disk = Get-Disk -Number $number
            # A server leaves new disks offline.
            if ($disk.IsOffline) { Set-Disk -Number $number -IsOffline $false }
            if ($disk.IsReadOnly) { Set-Disk -Number $number -IsReadOnly $false }
            if ($disk.PartitionStyle -eq 'RAW') { Initialize-Disk -Number $number -PartitionStyle GPT }
            $partition = New-Partition -DiskNumber $number -UseMaximumSize -DriveLetter $request.letter
            Format-Volume -Partition $partition -FileSystem NTFS -NewFileSystemLabel $request.label -Confirm:$false | Out-Null
            return @{ formatted = $request.letter }
        }
        'format-volume' {
            $volume = Get-Volume -DriveLetter $request.letter
            if ($volume.FileSystemType -ne 'Unknown') { throw ($request.letter + ': has a file system') }
            Format-Volume -DriveLetter $request.letter -FileSystem NTFS -NewFileSystemLabel $request.label -Confirm:$false | Out-Null
            return @{ formatted = $request.letter }
        }
        'place' {
            $item = Get-Item -LiteralPath $request.path -Force -ErrorAction SilentlyContinue
            if ($null -eq $item) { return @{ there = $false; link = $false; empty = $false } }
            $link = [bool]($item.Attributes -band [IO.FileAttributes]::ReparsePoint)
            $empty = -not $link -and $item.PSIsContainer -and -not (Get-ChildItem -LiteralPath $request.path -Force | Select-Object -First 1)
            return @{ there = $true; link = $link; empty = [bool]$empty }
        }
        'drive' {
            # A drive of virtio-fs is a logical disk, and no volume.
            $drive = Get-CimInstance -ClassName Win32_LogicalDisk | Where-Object { $_.DeviceID -eq ([string]$request.letter + ':') }
            if ($null -eq $drive) { return @{ there = $false; kind = 0; label = '' } }
            return @{ there = $true; kind = [int]$drive.DriveType; label = [string]$drive.VolumeName }
        }
        'remove-empty' {
            # Fails where it is not empty.
            [IO.Directory]::Delete([string]$request.path, $false)
            return @{ removed = $request.path }
        }
        'task' {
            $task = Get-ScheduledTask -TaskPath '\moxc\' -TaskName $request.name -ErrorAction SilentlyContinue
            return @{ there = ($null -ne $task); running = ($null -ne $task -and [string]$task.State -eq 'Running') }
        }
        'event' {
            if (-not [Diagnostics.EventLog]::SourceExists('moxc')) { New-EventLog -LogName 'Application' -Source 'moxc' }
            $kind = 'Information'
            if ($request.warns) { $kind = 'Warning' }
            Write-EventLog -LogName 'Application' -Source 'moxc' -EventId 1 -EntryType $kind -Message $request.text
            return @{ written = $true }
        }
        'rule' {
            $rule = Get-NetFirewallRule -Name $request.name -ErrorAction SilentlyContinue
            if ($null -eq $rule) { return @{ there = $false; port = '' } }
            $port = [string]($rule | Get-NetFirewallPortFilter).LocalPort
            return @{ there = ([string]$rule.Enabled -eq 'True'); port = $port }
        }
        'set-rule' {
            Remove-NetFirewallRule -Name $request.name -ErrorAction SilentlyContinue
            New-NetFirewallRule -Name $request.name -DisplayName $request.title -Direction Inbound -Protocol TCP -LocalPort $request.port -Action Allow -Profile Any | Out-Null
            return @{ set = $request.name }
        }
        'remove-rule' {
            Remove-NetFirewallRule -Name $request.name -ErrorAction SilentlyContinue
            return @{ removed = $request.name }
        }
        'unset-registry' {
            Remove-ItemProperty -LiteralPath $request.key -Name $request.name -ErrorAction SilentlyContinue
            return @{ unset = $request.name }
        }
        'account' {
            $account = Get-Account $request.name
            if ($null -eq $account) { return @{ there = $false; enabled = $false; full_name = ''; administrator = $false; remote = $false } }
            return @{
                there = $true
                enabled = [bool]$account.Enabled
                full_name = [string]$account.FullName
                administrator = (Test-Member $account $administrators)
                remote = (Test-Member $account $remote)
            }
        }
        'set-account' {
            $account = Get-Account $request.name
            if ($null -eq $account) {
                $password = ConvertTo-SecureString -String @(Get-Secret $request.secret 1)[0] -AsPlainText -Force
                $account = New-LocalUser -Name $request.name -Password $password -FullName $request.full_name
            }
            Set-LocalUser -SID $account.SID -FullName $request.full_name
            Enable-LocalUser -SID $account.SID
            Set-Member $account $users $true
            Set-Member $account $administrators $request.administrator
            Set-Member $account $remote $request.remote
            return @{ set = $request.name }
        }
        'stop-account' {
            $account = Get-Account $request.name
            if ($null -ne $account) { Disable-LocalUser -SID $account.SID }
            return @{ stopped = $request.name }
        }
        'domain' {
            $machine = Get-CimInstance -ClassName Win32_ComputerSystem
            # Outside a domain the name is that of a workgroup.
            $name = ''
            if ($machine.PartOfDomain) { $name = [string]$machine.Domain }
            return @{ joined = [bool]$machine.PartOfDomain; name = $name }
        }
        'join-domain' {
            $words = @(Get-Secret $request.secret 2)
            $password = ConvertTo-SecureString -String $words[1] -AsPlainText -Force
            $join = @{ DomainName = [string]$request.name; Credential = (New-Object Management.Automation.PSCredential($words[0], $password)) }
            if ($request.ou -ne '') { $join.OUPath = [string]$request.ou }
            Add-Computer @join
            return @{ joined = $request.name }
        }
        'expand' {
            Expand-Archive -LiteralPath $request.file -DestinationPath $request.folder -Force
            return @{ expanded = $request.folder }
        }
        'link' {
            # A link that is there already is a link alone: what it leads to stays.
            $there = Get-Item -LiteralPath $request.at -Force -ErrorAction SilentlyContinue
            if ($null -ne $there) {
                if (-not ($there.Attributes -band [IO.FileAttributes]::ReparsePoint)) { throw ($request.at + ' is no link') }
                [IO.Directory]::Delete([string]$request.at, $false)
            }
            New-Item -ItemType Junction -Path $request.at -Value $request.to | Out-Null
            return @{ linked = $request.at }
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
