#!/bin/bash
# Fuzzes each parser for SECONDS_EACH (default 300) with libFuzzer (clang), starting from its corpus. What it finds and
# what reaches more code lies in HELPLINE_FUZZ (default build-fuzz) afterwards. usage: tests/fuzz/run.sh [NAME…]
set -euo pipefail
cd -- "${BASH_SOURCE[0]%/*}/../.."
each=${SECONDS_EACH:-300}
out=${HELPLINE_FUZZ:-build-fuzz}
flags=(-std=gnu11 -D_GNU_SOURCE -Ilib -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined)
libraries=(-lsqlite3 -lfcgi -luv -lhiredis -lcurl -ljson-c -lsodium -lwslay -ljwt -lcrypt -lz -lm)
parsers=(archive sse engineio socketio json handshake msgpack sound wire)

names=("$@")
[[ ${#names[@]} -gt 0 ]] || names=("${parsers[@]}")
for name in "${names[@]}"; do
	mkdir -p "$out/$name"
	more=()
	if [[ $name == archive ]]; then more=(-Ifcgi fcgi/helpline/archive.c lib/records/*.c); fi
	clang "${flags[@]}" -DHELPLINE_DATADIR="\"\"" -DPACKAGE_VERSION="\"\"" "tests/fuzz/${name}_fuzz.c" lib/base/*.c lib/loop/*.c lib/services/*.c \
	    lib/push/*.c "${more[@]}" "${libraries[@]}" -o "$out/${name}_fuzz"
	echo "== $name, $each s"
	if ! "$out/${name}_fuzz" -max_total_time="$each" -max_len=8192 -timeout=5 -rss_limit_mb=2048 -print_final_stats=1 \
	    -artifact_prefix="$out/" "$out/$name" "tests/fuzz/corpus/$name" > "$out/$name.log" 2>&1; then
		tail -n 40 "$out/$name.log"
		exit 1
	fi
	grep -E 'DONE|average_exec' "$out/$name.log"
done
