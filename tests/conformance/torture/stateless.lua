-- Sends everything where it points, without a transaction.
function route(msg)
  if not forward() then sl_reply_error() end
end
