// The status page: complete without a script, made anew by a small one every few seconds; nothing
// of it comes from elsewhere, and its Content-Security-Policy allows nothing else. Pure.
#pragma once

#include "services/gateway/http.hpp"
#include "services/gateway/picture.hpp"

namespace lockstep::gateway {

Answer page(const Shown& shown, UtcNanos now);

}  // namespace lockstep::gateway
