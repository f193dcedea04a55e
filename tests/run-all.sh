#!/bin/sh
# All tests; what ./run test calls. See run-all.mjs.
exec node "${0%/*}/run-all.mjs" "$@"
