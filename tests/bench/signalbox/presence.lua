-- The benchmark's presence agent: what kamailio/presence.cfg does, function by function.

function route(msg)
  if not mf_process_maxfwd_header(10) then return sl_send_reply(483, "Too Many Hops") end
  if msg.method ~= "PUBLISH" and msg.method ~= "SUBSCRIBE" then return sl_send_reply(405, "Method Not Allowed") end
  if not t_newtran() then return sl_reply_error() end
  if msg.method == "PUBLISH" then return handle_publish("registrar") end
  return handle_subscription("registrar")
end
