#!/bin/bash
# Fuzzes each parser for SECONDS_EACH (default 300) with libFuzzer (clang), starting from its corpus, so many at once as
# HELPLINE_FUZZ_AT_ONCE says (default 1). What it finds and what reaches more code lies in HELPLINE_FUZZ (default build-fuzz)
# afterwards. usage: tests/fuzz/run.sh [NAME…]
set -euo pipefail
cd -- "${BASH_SOURCE[0]%/*}/../.."
each=${SECONDS_EACH:-300}
out=${HELPLINE_FUZZ:-build-fuzz}
at_once=${HELPLINE_FUZZ_AT_ONCE:-1}
# shellcheck disable=SC2054	# the sanitizers' commas
flags=(-std=gnu11 -D_GNU_SOURCE -Ilib -Ifcgi '-DHELPLINE_DATADIR=""' '-DPACKAGE_VERSION=""' -g -O1 -fsanitize=fuzzer-no-link,address,undefined
	-fno-sanitize-recover=undefined)
libraries=(-lsqlite3 -lfcgi -luv -lhiredis -lcurl -ljson-c -lsodium -lwslay -ljwt -lcrypt -lz -lm)
parsers=(archive sse engineio fcgi_answer socketio json handshake msgpack sound wire)

names=("$@")
[[ ${#names[@]} -gt 0 ]] || names=("${parsers[@]}")

# The library once, with what the fuzzers have besides; the linker takes what each of them needs.
compile() {
	local object=$out/objects/${1//\//_}.o
	[[ $object -nt $1 && -z $(find lib fcgi/helpline -name '*.h' -newer "$object" -print -quit) ]] || clang "${flags[@]}" -c "$1" -o "$object"
	echo "$object"
}
mkdir -p "$out/objects"
rm -f "$out/parsers.a"
objects=()
for source in lib/{base,loop,services,records,push}/*.c fcgi/helpline/archive.c; do
	objects+=("$(compile "$source")")
done
ar rcs "$out/parsers.a" "${objects[@]}"

fuzz() {
	local name=$1
	mkdir -p "$out/$name"
	clang "${flags[@]}" -fsanitize=fuzzer "tests/fuzz/${name}_fuzz.c" "$out/parsers.a" "${libraries[@]}" -o "$out/${name}_fuzz"
	if ! "$out/${name}_fuzz" -max_total_time="$each" -max_len=8192 -timeout=5 -rss_limit_mb=2048 -print_final_stats=1 \
	    -artifact_prefix="$out/" "$out/$name" "tests/fuzz/corpus/$name" > "$out/$name.log" 2>&1; then
		echo "== $name FAILED"
		tail -n 40 "$out/$name.log"
		return 1
	fi
	echo "== $name, $each s: $(grep -E 'DONE' "$out/$name.log"), $(grep -c . <(find "tests/fuzz/corpus/$name" -type f)) in the corpus"
}

rm -f "$out/failed"
for name in "${names[@]}"; do
	while (($(jobs -pr | wc -l) >= at_once)); do
		wait -n || true
	done
	fuzz "$name" || touch "$out/failed" &
done
wait
[[ ! -e $out/failed ]]
