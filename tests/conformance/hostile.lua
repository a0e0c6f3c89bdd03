-- Does everything for everybody, so that hostile messages get everywhere; looks at every part of the message first.
local function look(message)
  local seen = { message.method, message.status, message.reason, message.from_tag, message.to_tag, message.call_id, message.cseq,
    message.event, message.expires, message.max_forwards, message.user_agent, message.content_type, message.body,
    message.transport, message.source and message.source.ip }
  for _, address in ipairs { message.from, message.to, message.contact or message.to } do
    seen[#seen + 1] = { tostring(address), address.user, address.host, address.port, address.display, address.tag }
  end
  for _, name in ipairs { "Via", "Contact", "Subject", "X-Unknown", "m" } do
    seen[#seen + 1] = { message.headers:get(name), message.headers:all(name) }
  end
  return #seen
end

function route(msg)
  look(msg)
  if not mf_process_maxfwd_header(70) then return sl_reply_error() end
  t_on_reply("look")
  t_on_failure("again")
  t_on_branch("look")
  if msg.headers:get("Authorization") and not www_authorize("example.com") then return www_challenge("example.com") end
  if msg.headers:get("Proxy-Authorization") and not proxy_authorize("example.com") then return proxy_challenge("example.com") end
  local routed = loose_route()
  local ours = { msg.ruri.user, msg.ruri.host, msg.ruri.port, is_myself() }
  if msg.method == "REGISTER" then return save("location") end
  if msg.method == "SUBSCRIBE" or msg.method == "PUBLISH" then
    if not t_newtran() then return sl_reply_error() end
    if msg.method == "PUBLISH" then return handle_publish("registrar") end
    return handle_subscription("registrar")
  end
  target_online("registrar")
  record_route(";hostile")
  if not routed and #ours > 0 and msg.method ~= "ACK" then lookup("location") end
  if msg.cseq % 5 == 0 then forward() elseif not t_relay() then sl_reply_error() end
end

function reply_route.look(msg)
  look(msg)
end

function branch_route.look(msg)
  -- Not the user itself: with its escapes undone it may have line breaks, which no header takes.
  msg.headers:add("X-Branch", #(msg.ruri.user or ""))
end

function failure_route.again(msg)
  look(msg.response)
  if msg.cseq % 2 == 0 then
    append_branch("sip:mailbox@192.0.2.50")
    t_relay()
  end
end
