-- REGISTER with digest.
function route(msg)
  if not mf_process_maxfwd_header(10) then return sl_send_reply(483, "Too Many Hops") end
  if msg.method ~= "REGISTER" then return sl_send_reply(405, "Method Not Allowed") end
  if not www_authorize("example.com") then return www_challenge("example.com") end
  consume_credentials()
  save("location")
end
