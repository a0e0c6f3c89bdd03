-- The benchmark's routing script: what kamailio/relay.cfg does, function by function.

function route(msg)
  if not mf_process_maxfwd_header(10) then return sl_send_reply(483, "Too Many Hops") end
  if msg.method == "REGISTER" then
    if not save("location") then sl_reply_error() end
    return
  end
  if not lookup("location") then return sl_send_reply(404, "Not Found") end
  if not t_relay() then sl_reply_error() end
end
