local source = A.status and P .. KEY.incidents_in_status .. A.status or P .. KEY.incidents
return answer(source, KEY.incident, function() return true end)
