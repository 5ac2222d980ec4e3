' <@ header|safe @>
' disk.vbs NUMBER SERIAL SIZE: whether the disk that Windows counts by this number is the one of this serial number and size.
'
' Exit status: 0 it is, and it is empty; 1 it is another one; 2 wrong usage; 3 it is, and it holds partitions, or it cannot
' be told.
Option Explicit

If WScript.Arguments.Count <> 3 Then WScript.Quit 2
WScript.Quit Verdict(CLng(WScript.Arguments(0)), WScript.Arguments(1), CDbl(WScript.Arguments(2)))

' Win32_DiskDrive counts whole cylinders of 255 heads and 63 sectors, and so tells up to one less than there is.
Function Fits(disk, size)
  Fits = False
  If IsNull(disk.Size) Then Exit Function
  Fits = CDbl(disk.Size) <= size + 1048576 And CDbl(disk.Size) > size - 8225280
End Function

Function Verdict(number, serial, size)
  Dim disks, disk, named, fitting, wiped
  Set wiped = Nothing
  named = 0
  fitting = 0
  Set disks = GetObject("winmgmts:\\.\root\cimv2").ExecQuery("SELECT Index, SerialNumber, Size, Partitions FROM Win32_DiskDrive")
  For Each disk In disks
    WScript.Echo "disk " & disk.Index & ": serial number '" & Trim("" & disk.SerialNumber) & "', " & disk.Size & " bytes, " & disk.Partitions & " partitions"
    If StrComp(Trim("" & disk.SerialNumber), serial, vbTextCompare) = 0 Then named = named + 1
    If Fits(disk, size) Then fitting = fitting + 1
    If disk.Index = number Then Set wiped = disk
  Next
  If wiped Is Nothing Then
    WScript.Echo "There is no disk " & number & "."
    Verdict = 1
  ElseIf named > 0 And StrComp(Trim("" & wiped.SerialNumber), serial, vbTextCompare) <> 0 Then
    WScript.Echo "Disk " & number & " is not the disk '" & serial & "'."
    Verdict = 1
  ElseIf Not Fits(wiped, size) Then
    WScript.Echo "Disk " & number & " has not " & size & " bytes."
    Verdict = 1
  ElseIf named = 0 And fitting > 1 Then
    WScript.Echo "No disk tells its serial number, and several have this size."
    Verdict = 3
  ElseIf wiped.Partitions > 0 Then
    WScript.Echo "Disk " & number & " holds partitions."
    Verdict = 3
  Else
    Verdict = 0
  End If
End Function
