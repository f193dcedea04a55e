#!/bin/bash
# ./run analyse distributions: the package is built from the tarball in a Debian 12 and in a Debian 13 of its own (debootstrap), with the
# unit tests, looked at by lintian where this computer has it, installed there and asked. Needs root and a mirror; the two systems are kept
# in HELPLINE_DISTRIBUTIONS (default: below the build trees), so that the second time takes a few minutes.
#
#	tests/distributions.sh TARBALL [bookworm | trixie]...
# shellcheck disable=SC2016,SC2317	# the inner shell's words; a trap
set -euo pipefail

tarball=$(realpath -- "$1")
shift
(($# > 0)) || set -- bookworm trixie
folder=${HELPLINE_DISTRIBUTIONS:-$PWD/build-distributions}
mirror=${HELPLINE_MIRROR:-}
[[ $mirror ]] || mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | awk '!seen[$0]++ && !/security/ { print; exit }')
mounted=()

say() { printf '%s\n' "$*"; }

unmount() {
	local dir
	for dir in ${mounted[@]+"${mounted[@]}"}; do umount -l "$dir" 2>/dev/null || true; done
	mounted=()
}
trap unmount EXIT

((EUID == 0)) || { say "This needs root: debootstrap makes whole systems"; exit 1; }
type -P debootstrap >/dev/null || { say "debootstrap is not installed"; exit 1; }

# A whole small system, in which nothing is ever started.
system() {
	local root=$folder/$1
	if [[ ! -e $root/.made ]]; then
		rm -rf "$root"
		mkdir -p "$folder"
		debootstrap --variant=minbase "$1" "$root" "$mirror" >"$folder/$1.log" 2>&1 || { tail -n 5 "$folder/$1.log"; return 1; }
		printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
		chmod 755 "$root/usr/sbin/policy-rc.d"
		touch "$root/.made"
	fi
	mount -t proc proc "$root/proc"
	mounted+=("$root/proc")
}

inside() {
	chroot "$folder/$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
		DEB_BUILD_OPTIONS="parallel=$(nproc)" bash -euc "$2"
}

build() {
	local root=$folder/$1
	rm -rf "$root/build"
	mkdir -p "$root/build/tree"
	tar xJf "$tarball" -C "$root/build/tree" --strip-components=1
	inside "$1" 'apt-get install -y -q --no-install-recommends build-essential
		cd /build/tree
		apt-get build-dep -y -q --no-install-recommends ./
		dpkg-buildpackage -b -us -uc' >"$root/build.log" 2>&1 || { tail -n 20 "$root/build.log"; return 1; }
}

# As an administrator would, in a system without systemd: it is there, asks for nothing, keeps what it made, and drops it.
install() {
	inside "$1" '
		apt-get install -y -q --no-install-recommends /build/helpline_*.deb
		helpline --version
		test "$(stat -c %a:%U:%G /etc/helpline/helpline.conf)" = 640:root:helpline
		test "$(stat -c %a:%U /etc/helpline/secrets)" = 700:root
		secret=$(sha256sum /etc/helpline/secrets/*)
		dpkg -i /build/helpline_*.deb
		test "$(sha256sum /etc/helpline/secrets/*)" = "$secret"
		apt-get remove -y -q helpline
		test "$(sha256sum /etc/helpline/secrets/*)" = "$secret"
		test -e /etc/helpline/helpline.conf
		apt-get purge -y -q helpline
		! test -e /etc/helpline
		! test -e /var/lib/helpline
		! getent passwd helpline
		apt-get autoremove -y -q' >"$folder/$1/install.log" 2>&1 || { tail -n 20 "$folder/$1/install.log"; return 1; }
}

failed=0
for release; do
	set +e
	(set -e; trap unmount EXIT; system "$release"; build "$release"; install "$release")
	status=$?
	set -e
	deb=$(echo "$folder/$release"/build/helpline_*.deb)
	if ((status != 0)); then
		say "FAILED  $release"
		failed=1
		continue
	fi
	say "ok      $release: $(basename "$deb"), $(stat -c %s "$deb") bytes"
	if type -P lintian >/dev/null && grep -q "VERSION_CODENAME=$release\$" /etc/os-release; then
		lintian --pedantic --display-info --fail-on error,warning,info,pedantic "$folder/$release"/build/helpline_*.changes || failed=1
	fi
done
exit $failed
