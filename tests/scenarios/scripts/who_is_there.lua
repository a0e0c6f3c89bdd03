-- What a script can ask and change of registrations.
function route(msg)
  if msg.method == "REGISTER" then return save("location") end
  if msg.method == "OPTIONS" then
    local there, why = registered("location")
    return sl_send_reply(there and 200 or 480, why)
  end
  local done, why = unregister("location", "sip:bob@example.com", msg.headers:get("X-Contact"))
  sl_send_reply(done and 200 or 404, why)
end
