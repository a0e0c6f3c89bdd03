-- The smallest script that registers and relays.
function route(msg)
  if not mf_process_maxfwd_header(10) then return sl_send_reply(483, "Too Many Hops") end
  if msg.method == "REGISTER" then return save("location") end
  if loose_route() then
    if not t_relay() then sl_reply_error() end
    return
  end
  if msg.method == "CANCEL" then
    if t_check_trans() then t_relay() end
    return
  end
  if msg.method ~= "REGISTER" and (msg.method == "INVITE" or msg.method == "SUBSCRIBE") then record_route() end
  if not lookup("location") then return sl_send_reply(404, "Not Found") end
  if not t_relay() then sl_reply_error() end
end
