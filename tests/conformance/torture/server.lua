-- The server of the torture messages: the registrar of its domain, and else a proxy that sends everything where it points.
function route(msg)
  if not mf_process_maxfwd_header(70) then return sl_reply_error() end
  if msg.method == "REGISTER" and is_myself() then
    -- Without credentials everybody may register here; those that come along must be right.
    if msg.headers:get("Authorization") and not www_authorize("example.com") then return www_challenge("example.com") end
    return save("location")
  end
  if not t_relay() then sl_reply_error() end
end
