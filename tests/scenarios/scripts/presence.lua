-- The smallest script of a presence agent beside a registrar.
function route(msg)
  if not mf_process_maxfwd_header(10) then return sl_send_reply(483, "Too Many Hops") end
  -- Not every scenario loads a registrar.
  if msg.method == "REGISTER" and save then return save("location") end
  if msg.method == "SUBSCRIBE" then
    if t_newtran() then handle_subscription("registrar") end
  elseif msg.method == "PUBLISH" then
    if t_newtran() then handle_publish("registrar") end
  elseif msg.method == "OPTIONS" then
    if target_online("registrar") then sl_send_reply(200, "Online") else sl_send_reply(480, "Offline") end
  else
    sl_send_reply(405, "Method Not Allowed")
  end
end
