---@meta
-- Generated from the tables in the code; `make stubs` writes it anew.
-- auth: Asks users for digest credentials and checks them (RFC 3261 §22, RFC 7616, RFC 8760).

---Checks the Authorization of a request for this server, such as a REGISTER. On success `avp.auth_user` and `avp.auth_realm` say who sent it; ACK and CANCEL always succeed, since they cannot be challenged.
---Callable in: request.
---@param realm string The realm, by custom the domain. When empty, that of the To address for REGISTER and of the From address for the rest.
---@param table? string For scripts carried over from SER: the accounts are always those of `subscriber`.
---@return boolean result whether the credentials are right; else why not
---@return string? reason why not
function www_authorize(realm, table) end

---Checks the Proxy-Authorization of a request that is to be relayed. As `www_authorize` otherwise.
---Callable in: request.
---@param realm string The realm, by custom the domain. When empty, that of the To address for REGISTER and of the From address for the rest.
---@param table? string For scripts carried over from SER: the accounts are always those of `subscriber`.
---@return boolean result whether the credentials are right; else why not
---@return string? reason why not
function proxy_authorize(realm, table) end

---Answers 401 and asks for credentials, with `stale=true` if the nonce was too old. Credentials for another resource are answered 400, and too many wrong passwords 403 with Retry-After. When `www_authorize` failed because the database is gone, it answers 503 with Retry-After instead.
---Callable in: request, failure.
---@param realm string The realm, by custom the domain. When empty, that of the To address for REGISTER and of the From address for the rest.
---@param qop? any `"1"` or `"auth"` offers quality of protection, `"0"` does not; the parameter `qop` when left out.
---@return boolean result whether the answer was sent
---@return string? reason why not
function www_challenge(realm, qop) end

---Answers 407 and asks for credentials. As `www_challenge` otherwise.
---Callable in: request, failure.
---@param realm string The realm, by custom the domain. When empty, that of the To address for REGISTER and of the From address for the rest.
---@param qop? any `"1"` or `"auth"` offers quality of protection, `"0"` does not; the parameter `qop` when left out.
---@return boolean result whether the answer was sent
---@return string? reason why not
function proxy_challenge(realm, qop) end

---Takes the credentials that were accepted out of the request, so that the next hop doesn't see them (RFC 3261 §22.3).
---Callable in: request, failure.
---@return boolean result whether there were any
---@return string? reason why not
function consume_credentials() end
