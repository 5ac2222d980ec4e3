@echo off
rem <@ header|safe @>
rem Runs in Windows PE before Setup looks at disks: loads the drivers of the virtio-win disc, keeps a copy where the answers
rem name it for the installed Windows, and sees to it that the disk that Setup will wipe is the right one. Setup itself
rem refuses vioscsi from Windows 11 24H2 on.
setlocal
set disc=
for %%d in (C D E F G H I J K L M N O P Q R S T U V W Y Z) do if not defined disc if exist "%%d:\NetKVM\<@ folder @>\amd64\netkvm.inf" set disc=%%d:
if not defined disc (
  echo The virtio-win disc is in no drive. Attach it and restart this machine.
  call :wait
)
<%- for driver in drivers %>
md "<@ target @>\<@ driver.name @>"
for %%e in (inf cat sys dll exe) do copy /y "%disc%\<@ driver.name @>\<@ folder @>\amd64\*.%%e" "<@ target @>\<@ driver.name @>" >nul 2>nul
drvload "<@ target @>\<@ driver.name @>\<@ driver.file @>"
if errorlevel 1 (
  echo The driver <@ driver.name @> of the virtio-win disc does not load.
  call :wait
)
<%- endfor %>
rem A disk takes a moment to come.
ping -n 6 127.0.0.1 >nul
<%- if wipes %>
rem Setup wipes the disk that Windows counts as number <@ number @>. Which one that is depends on the order in which it finds them.
cscript //nologo "%~dp0disk.vbs" "<@ number @>" "<@ serial @>" "<@ size @>"
if errorlevel 3 (
  call :confirm
  goto checked
)
if errorlevel 1 (
  echo Nothing is wiped. Restart this machine: Windows may count its disks in another order then.
  call :wait
)
:checked
<%- endif %>
for %%d in (C D E F G H I J K L M N O P Q R S T U V W Y Z) do if exist "%%d:\Windows\System32\config\SYSTEM" (
  echo Windows is already installed on drive %%d:
  call :confirm
)
exit /b 0

rem What the host's build-iso.sh had somebody confirm stands on the disc. Else a word has to be typed: a key that was meant
rem for the prompt of the disc must not be enough.
:confirm
if exist "%~dp0confirmed" exit /b 0
echo To go on WIPES the disk of Windows.
:ask
set answer=
set /p answer=Type WIPE to go on:
if not "%answer%"=="WIPE" goto ask
exit /b 0

rem Nothing but a restart leads on from here.
:wait
ping -n 3600 127.0.0.1 >nul
goto wait
