@echo off
rem <@ header|safe @>
rem Runs in Windows PE before Setup looks at disks: loads the drivers of the virtio-win disc, and keeps a copy where the
rem answers name it for the installed Windows. Setup itself refuses vioscsi from Windows 11 24H2 on.
setlocal
set disc=
for %%d in (C D E F G H I J K L M N O P Q R S T U V W Y Z) do if not defined disc if exist "%%d:\NetKVM\<@ folder @>\amd64\netkvm.inf" set disc=%%d:
if not defined disc (
  echo The virtio-win disc is in no drive. Attach it and restart this machine.
  pause
  exit /b 1
)
<%- for driver in drivers %>
md "<@ target @>\<@ driver.name @>"
for %%e in (inf cat sys dll exe) do copy /y "%disc%\<@ driver.name @>\<@ folder @>\amd64\*.%%e" "<@ target @>\<@ driver.name @>" >nul 2>nul
drvload "<@ target @>\<@ driver.name @>\<@ driver.file @>"
if errorlevel 1 (
  echo The driver <@ driver.name @> of the virtio-win disc does not load.
  pause
  exit /b 1
)
<%- endfor %>
rem A disk takes a moment to come.
ping -n 6 127.0.0.1 >nul
for %%d in (C D E F G H I J K L M N O P Q R S T U V W Y Z) do if exist "%%d:\Windows\System32\config\SYSTEM" (
  echo There is a Windows on drive %%d: already. To go on WIPES the first disk: press a key only if you want that.
  pause
)
exit /b 0
