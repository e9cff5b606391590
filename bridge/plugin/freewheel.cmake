# Give the freewheel port of a generated LV2 description its designation.
file(READ "${FILE}" text)
string(REPLACE "lv2:symbol \"freewheel\" ;"
  "lv2:symbol \"freewheel\" ;\n        lv2:designation lv2:freeWheeling ;" changed "${text}")
if(changed STREQUAL text)
  message(FATAL_ERROR "${FILE}: no port called freewheel")
endif()
file(WRITE "${FILE}" "${changed}")
