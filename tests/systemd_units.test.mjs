// The units as they are installed: systemd finds nothing to say about them, and they may do little.

import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { root } from "./harness.mjs";

const EXPOSURE_MAX = 1.5;
const without = spawnSync("systemd-analyze", ["--version"]).status !== 0 && "systemd-analyze is not installed (Debian package systemd)";
const run = (name, ...args) => spawnSync(name, args, { encoding: "utf8", env: { ...process.env, SYSTEMD_COLORS: "0", SYSTEMD_EMOJI: "0" } });
let dir, units;

before(() => {
	dir = mkdtempSync(path.join(tmpdir(), "helpline-units-"));
	cpSync(path.join(process.env.HELPLINE_BUILD, "stage/lib/systemd/system"), dir, { recursive: true });
	units = readdirSync(dir).sort();
});
after(() => rmSync(dir, { recursive: true, force: true }));

// Of a template, an instance.
const instance = (unit) => unit.replace("@.", unit.includes("pushd") ? "@0." : "@1.");
const settings = (unit, name) => [...readFileSync(path.join(dir, unit), "utf8").matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map((m) => m[1]);

test("every program has a service and a socket, and the target wants them all", () => {
	const programs = readdirSync(path.join(process.env.HELPLINE_BUILD, "stage/libexec/helpline")).sort();
	const wanted = settings("helpline.target", "Wants").join(" ").split(" ");
	for (const program of programs) {
		assert.ok(units.includes(`helpline-${program}@.service`), `no service of ${program}`);
		assert.ok(wanted.some((w) => w.startsWith(`helpline-${program}@`) && w.endsWith(".service")), `the target does not want ${program}`);
		assert.ok(wanted.some((w) => w.startsWith(`helpline-${program}`) && w.endsWith(".socket")), `the target does not want ${program}'s socket`);
	}
	for (const w of wanted)
		assert.ok(units.includes(w.replace(/@\d+\./, "@.")), `the target wants ${w}, and there is none`);
});

test("nothing is left to be filled in, and every program that is named is there", () => {
	for (const unit of units) {
		assert.doesNotMatch(readFileSync(path.join(dir, unit), "utf8"), /@[A-Za-z_]+@/, unit);
		for (const command of settings(unit, "ExecStart"))
			assert.ok(existsSync(command.split(" ")[0]), `${unit}: ${command}`);
	}
});

test("nginx knows the sockets by the names that they have", () => {
	const made = new Set(units.filter((u) => u.endsWith(".socket")).flatMap((u) => settings(u, "ListenStream")).map((s) => s.replace("%i", "0")));
	for (const [, link, to] of readFileSync(path.join(root, "systemd/tmpfiles.conf.in"), "utf8").matchAll(/^L (\S+)\s+- +- +- +- (\S+)$/gm)) {
		assert.ok(made.has(path.join(path.dirname(link), to)), `${link} leads to ${to}, which nobody makes`);
		made.add(link);
	}
	const nginx = path.join(root, "nginx");
	for (const name of readdirSync(nginx).filter((n) => /^helpline-.*\.conf$/.test(n)))
		for (const [, socket] of readFileSync(path.join(nginx, name), "utf8").matchAll(/^\s*server unix:(\S+)/gm))
			assert.ok(made.has(path.normalize(socket)), `${name}: ${socket} is made by no unit`);
});

test("systemd-analyze verify is silent", { skip: without }, () => {
	const { status, stdout, stderr } = run("systemd-analyze", "verify", "--man=no", ...units.map((unit) => path.join(dir, instance(unit))));
	assert.equal(stdout + stderr, "");
	assert.equal(status, 0);
});

test("systemd-analyze verify would have complained", { skip: without }, () => {
	writeFileSync(path.join(dir, "helpline-wrong.service"), `${readFileSync(path.join(dir, "helpline-chat@.service"), "utf8")}NoSuchSetting=1\n`);
	try {
		assert.match(run("systemd-analyze", "verify", "--man=no", path.join(dir, "helpline-wrong.service")).stderr, /NoSuchSetting/);
	} finally {
		rmSync(path.join(dir, "helpline-wrong.service"));
	}
});

test(`every service is exposed by ${EXPOSURE_MAX} at most`, { skip: without }, () => {
	const services = units.filter((u) => u.endsWith(".service"));
	assert.ok(services.length >= 7);
	for (const unit of services) {
		const file = path.join(dir, unit);
		const { status, stdout, stderr } = run("systemd-analyze", "security", "--offline=true", `--threshold=${EXPOSURE_MAX * 10}`, "--no-pager", file);
		const exposure = Number(/exposure level for .*: ([\d.]+)/.exec(stdout)?.[1]);
		assert.ok(exposure > 0 && exposure <= EXPOSURE_MAX, `${unit}: ${exposure}\n${stdout}${stderr}`);
		assert.equal(status, 0);
	}
});

test("sysusers and tmpfiles are understood", { skip: without }, () => {
	const tmpfiles = path.join(process.env.HELPLINE_BUILD, "stage/lib/tmpfiles.d/helpline.conf");
	const users = path.join(process.env.HELPLINE_BUILD, "stage/lib/sysusers.d/helpline.conf");
	const folder = path.join(dir, "root");
	// Below a folder of its own, which has no users yet: sysusers makes them there.
	const made = run("systemd-sysusers", `--root=${folder}`, "--dry-run", users);
	assert.equal(made.status, 0, made.stderr);
	assert.match(made.stdout + made.stderr, /Would create user 'helpline'|Creating user 'helpline'/);
	assert.doesNotMatch(readFileSync(tmpfiles, "utf8"), /@[a-z_]+@/);
});
