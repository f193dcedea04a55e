#!/bin/bash
# ./run analyse [cppcheck | tidy | tidy-quick | threads | memory | coverage | distcheck | distributions]…: what looks at the code rather than
# at what it does; without a name all of it but the last one, some fifteen minutes. Each has a build tree of its own below HELPLINE_ANALYSE (default: build-analyse in the checkout).
# shellcheck disable=SC2317	# the steps are called by their names in a table
set -euo pipefail
cd -- "${BASH_SOURCE[0]%/*}/.."
top=$PWD
trees=${HELPLINE_ANALYSE:-$top/build-analyse}
cflags=(-std=gnu11 -D_GNU_SOURCE -Ilib -Ifcgi '-DPACKAGE_VERSION="0"' '-DHELPLINE_DATADIR="/usr/share/helpline"')
least=90	# per cent of the lines of lib/

say() { printf '%s\n' "$*"; }

build() {
	[[ -e $top/configure ]] || (cd "$top" && autoreconf -fi) >/dev/null 2>&1
	mkdir -p "$trees/$1"
	(cd "$trees/$1" && { [[ -e config.status ]] || "$top/configure" "${@:2}"; } && make -j"$(nproc)") >"$trees/$1.log" 2>&1 ||
		{ tail -n 20 "$trees/$1.log"; return 1; }
}

# The unit tests of a tree; what failed is shown.
check() {
	local tree=$trees/$1
	shift
	make -C "$tree" -k -j"$(nproc)" check "$@" >"$tree.check" 2>&1 && return
	grep -hE '^(FAIL|ERROR):' "$tree.check" || tail -n 20 "$tree.check"
	find "$tree/tests" -name '*_test.log' -exec grep -hE -A 20 'WARNING: ThreadSanitizer|^==[0-9]+== [A-Z]|\[  FAILED' {} + | head -n 100
	return 1
}

cppcheck_all() {
	cppcheck --enable=warning,performance --inline-suppr --suppressions-list=tests/cppcheck.suppressions --std=c11 --quiet \
		-j "$(nproc)" --error-exitcode=1 --template='{file}:{line}: {id}: {message}' "${cflags[@]:1}" lib fcgi
}

# tidy_all [option ...]: of the compiler.
tidy_all() {
	local packages
	packages=$(pkg-config --cflags libuv hiredis libcurl json-c libsodium sqlite3)
	# shellcheck disable=SC2016,SC2086	# the inner shell's words
	find lib fcgi -name '*.c' -printf '%s %p\n' | sort -rn | cut -d ' ' -f 2 | xargs -P "$(nproc)" -n 1 bash -c '
		n=$1; shift
		clang-tidy --quiet "${@:n+1}" -- "${@:1:n}" 2>/dev/null' - $((${#cflags[@]} + $# + $(wc -w <<<"$packages"))) "${cflags[@]}" "$@" $packages
}

# The same checks, but the analyzer follows fewer paths: a quarter of the time.
tidy_quick() {
	tidy_all -Xclang -analyzer-config -Xclang mode=shallow
}

# valgrind cannot see behind alloc_test's own malloc; the fuzzers' corpus is run with the address sanitizer; provider_test measures
# times, which are others here.
memory() {
	local tests
	build memory CFLAGS='-g -O1'
	tests=$(cd "$top" && printf '%s\n' tests/unit/*_test.c | sed 's/\.c$//' | grep -v provider_test | tr '\n' ' ')
	check memory TESTS="$tests" LOG_COMPILER='valgrind --quiet --error-exitcode=9 --fair-sched=yes'
}

threads() {
	build threads --enable-thread-sanitizer
	check threads
}

# Lines of lib/ that all tests run: the figure, and where the others are. What the tests say counts elsewhere: this build is slow.
coverage() {
	build coverage --enable-coverage --prefix="$trees/coverage/stage"
	rm -rf "$trees/coverage/stage"
	make -C "$trees/coverage" install >>"$trees/coverage.log" 2>&1
	touch -d '+1 day' "$trees/coverage/.built"	# ./run takes it as it is
	find "$trees/coverage" -name '*.gcda' -delete
	# ./run as root makes its programs somebody else's, and all write into the same files; what never runs has one, too.
	find "$trees/coverage" -name '*.gcno' -exec sh -c 'for f; do : >"${f%.gcno}.gcda"; done' sh {} +
	chmod -R a+rX "$trees/coverage"
	find "$trees/coverage" -name '*.gcda' -exec chmod a+w {} +
	HELPLINE_BUILD=$trees/coverage node tests/run-all.mjs >"$trees/coverage.check" 2>&1 || true
	tail -n 1 "$trees/coverage.check"
	node tests/coverage.mjs "$trees/coverage" "$least"
}

# The tarball has all that is in the repository, and from it alone everything is built, tested, installed and removed again.
distcheck() {
	local missing
	build distcheck
	make -C "$trees/distcheck" distcheck XZ_OPT=-1 >"$trees/distcheck.check" 2>&1 || { tail -n 20 "$trees/distcheck.check"; return 1; }
	[[ -e .git ]] || return 0
	missing=$(comm -13 <(tar tJf "$trees"/distcheck/helpline-*.tar.xz | cut -d / -f 2- | sort) <(git ls-files | sort))
	[[ ! $missing ]] || { say "not in the tarball: $missing"; return 1; }
}

# Debian 12 and Debian 13, each from nothing: needs root, a mirror and time.
distributions() {
	build distcheck
	make -C "$trees/distcheck" dist XZ_OPT=-1 >"$trees/distcheck.check" 2>&1 || { tail -n 20 "$trees/distcheck.check"; return 1; }
	HELPLINE_DISTRIBUTIONS=${HELPLINE_DISTRIBUTIONS:-$trees/distributions} tests/distributions.sh "$trees"/distcheck/helpline-*.tar.xz
}

declare -A steps=([cppcheck]=cppcheck_all [tidy]=tidy_all [tidy-quick]=tidy_quick [threads]=threads [memory]=memory [coverage]=coverage
	[distcheck]=distcheck [distributions]=distributions)
failed=0
(($# > 0)) || set -- cppcheck tidy threads memory coverage distcheck
for what; do
	[[ ${steps[$what]-} ]] || { say "There is no \"$what\": cppcheck tidy tidy-quick threads memory coverage distcheck distributions"; exit 2; }
	begin=$SECONDS
	# Not as a condition: bash would go on after a step that fails.
	set +e
	(set -e; "${steps[$what]}")
	status=$?
	set -e
	if ((status == 0)); then say "ok      $what ($((SECONDS - begin)) s)"; else say "FAILED  $what ($((SECONDS - begin)) s)"; failed=1; fi
done
exit $failed
