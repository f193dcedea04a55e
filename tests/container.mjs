// A whole host of one's own: this computer's files under a real systemd, with a network of its own, in which packages are
// installed and services are broken, and of which nothing stays.  systemd-nspawn boots it on the root folder below an overlay, so
// whatever is changed is kept in memory.
//
//	const why = containerMissing();				// a sentence, or undefined: then it can be tried
//	const box = await startContainer();
//	box.sh("systemctl start nginx")				// → what it printed; throws with all it said when it fails
//	box.try("false")					// → { status, stdout, stderr }
//	await box.shell("apt-get install …")			// as try(), while this process goes on
//	box.copy("/tmp/some/folder/.", "/")			// cp -a from here into it; /tmp, /run and /dev there are its own
//	box.write("/etc/x", "text", 0o600)
//	box.read("/etc/x")
//	await box.reach(80)					// → http://127.0.0.1:N here is port 80 there
//	await box.offer("http://127.0.0.1:N", M)		// → http://127.0.0.1:M there is port N here; without M at any port
//	box.pid("helpline-chat@1.service")			// the main process, as this computer numbers it
//	box.journal("helpline-*")				// what its units said
//	await box.reboot()					// orderly; what was changed is still there, ways have to be made anew
//	await box.stop()
//
// What this computer starts at its own boot is started there too, except what MASKED names; startContainer({ hosts: ["nginx.service"] })
// leaves some of those as they are here. It ends with this process, at the latest.

import { spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { waitFor } from "./harness.mjs";

const MASKED = ["systemd-timesyncd.service", "systemd-networkd.service", "cron.service", "apt-daily.timer", "apt-daily-upgrade.timer",
	"e2scrub_all.timer", "fstrim.timer", "man-db.timer", "dpkg-db-backup.timer",
	"postgresql.service"];
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const BOOT_MS = 90_000;

// A group competes as a whole with each single process out here; this one is a whole host.
const WEIGHT = { "cpu.shares": 4 * 1024, "cpu.weight": 4 * 100 };

export function containerMissing() {
	if (process.getuid() !== 0)
		return "a container with a systemd of its own needs root";
	if (spawnSync("systemd-nspawn", ["--version"]).status !== 0)
		return "systemd-nspawn is not installed (Debian package systemd-container)";
	if (hierarchies().length === 0)
		return "there are no control groups here";
	return undefined;
}

// ---- control groups: nspawn makes its own below those it is in, and leaves them ----

function hierarchies() {
	const all = "/sys/fs/cgroup";
	if (existsSync(`${all}/cgroup.controllers`))
		return [all];
	return existsSync(all) ? readdirSync(all).map((name) => `${all}/${name}`).filter((dir) => existsSync(`${dir}/cgroup.procs`)) : [];
}

function removeGroup(dir) {
	if (!existsSync(dir))
		return;
	for (const entry of readdirSync(dir, { withFileTypes: true }))
		if (entry.isDirectory())
			removeGroup(path.join(dir, entry.name));
	rmdirSync(dir);
}

// ---- ways through the wall: a process in the container's network, and a socket in a folder here ----

const RELAY = `
	const net = require("node:net");
	const [from, to] = process.argv.slice(1).map((a) => /^\\d+$/.test(a) ? { host: "127.0.0.1", port: Number(a) } : { path: a });
	const server = net.createServer({ allowHalfOpen: true }, (a) => {
		const b = net.connect({ ...to, allowHalfOpen: true });
		for (const [x, y] of [[a, b], [b, a]]) {
			x.pipe(y);
			x.on("error", () => y.destroy());
			x.on("close", () => y.destroySoon());
		}
	});
	server.listen(from, () => process.stdout.write(String(server.address().port ?? "ready") + "\\n"));
`;

function relay(child) {
	return new Promise((resolve, reject) => {
		let said = "";
		child.stdout.on("data", (data) => {
			said += data;
			if (said.includes("\n"))
				resolve(said.trim());
		});
		child.on("error", reject);
		child.on("exit", () => reject(new Error("a relay ended")));
	});
}

// ----

class Container {
	#children = [];
	#ways = 0;

	constructor(dir, name, groups, masked) {
		Object.assign(this, { dir, name, groups, masked });
	}

	start() {
		const console = openSync(path.join(this.dir, "console"), "w");
		this.nspawn = spawn("sh", ["-c", 'for group; do [ "$group" != -- ] || break; echo $$ >"$group/cgroup.procs" || exit; shift; done; shift; exec "$@"', "-",
			...this.groups, "--", "systemd-nspawn", "--quiet", `--directory=${path.join(this.dir, "root")}`, "--register=no", "--keep-unit",
			"--private-network", `--machine=${this.name}`, "--link-journal=no", "--console=pipe", "--boot",
			...this.masked.map((unit) => `systemd.mask=${unit}`), "systemd.journald.storage=volatile"], { stdio: ["ignore", console, console] });
		closeSync(console);
	}

	// As this computer numbers it.
	get leader() {
		const [pid] = readFileSync(`/proc/${this.nspawn.pid}/task/${this.nspawn.pid}/children`, "utf8").trim().split(" ");
		return Number(pid) || undefined;
	}

	get root() {
		return `/proc/${this.leader}/root`;
	}

	#enter(script) {
		return ["-t", String(this.leader), "-m", "-u", "-i", "-n", "-p", "-C", "env", "-i", `PATH=${PATH}`, "HOME=/root", "LANG=C.UTF-8",
			"DEBIAN_FRONTEND=noninteractive", "bash", "-c", `cd /; ${script}`];
	}

	try(script, { input, timeout = 120_000 } = {}) {
		const { status, stdout, stderr } = spawnSync("nsenter", this.#enter(script), { encoding: "utf8", input: input ?? "", timeout });
		return { status, stdout, stderr };
	}

	sh(script, options) {
		const { status, stdout, stderr } = this.try(script, options);
		if (status !== 0)
			throw new Error(`in the container: ${script}: status ${status}\n${stdout}${stderr}`);
		return stdout;
	}

	shell(script) {
		const child = spawn("nsenter", this.#enter(script), { stdio: ["ignore", "pipe", "pipe"] });
		let stdout = "", stderr = "";
		child.stdout.on("data", (data) => { stdout += data; });
		child.stderr.on("data", (data) => { stderr += data; });
		return new Promise((resolve) => { child.on("close", (status) => resolve({ status, stdout, stderr })); });
	}

	copy(from, to) {
		const { status, stderr } = spawnSync("cp", ["-a", from, path.join(this.root, to)], { encoding: "utf8" });
		if (status !== 0)
			throw new Error(stderr);
	}

	write(name, text, mode = 0o644) {
		writeFileSync(path.join(this.root, name), text, { mode });
	}

	read(name) {
		return readFileSync(path.join(this.root, name), "utf8");
	}

	// The main process of a unit; undefined: it has none.  Inside it is one number, here another.
	pid(unit) {
		const inside = this.sh(`systemctl show -P MainPID '${unit}'`).trim();
		if (inside === "0")
			return undefined;
		const namespace = (pid) => spawnSync("readlink", [`/proc/${pid}/ns/pid`], { encoding: "utf8" }).stdout.trim();
		const ours = namespace(this.leader);
		return readdirSync("/proc").filter((n) => /^\d+$/.test(n)).map(Number).find((pid) => {
			try {
				const own = /^NSpid:.*?(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
				return own === inside && namespace(pid) === ours;
			} catch {
				return false;
			}
		});
	}

	journal(units = "*") {
		return this.try(`journalctl --no-pager -o cat -u '${units}'`).stdout;
	}

	async #relay(where, from, to) {
		const command = [process.execPath, "-e", RELAY, "--", String(from), String(to)];
		const args = where === "there" ? ["-t", String(this.leader), "-n", ...command] : command.slice(1);
		const child = spawn(where === "there" ? "nsenter" : command[0], args, { stdio: ["ignore", "pipe", "inherit"] });
		this.#children.push(child);
		return relay(child);
	}

	async reach(port) {
		const way = path.join(this.dir, `way-${++this.#ways}`);
		await this.#relay("there", way, port);
		return `http://127.0.0.1:${await this.#relay("here", 0, way)}`;
	}

	async offer(base, at = 0) {
		const way = path.join(this.dir, `way-${++this.#ways}`);
		await this.#relay("here", way, new URL(base).port);
		return `http://127.0.0.1:${await this.#relay("there", at, way)}`;
	}

	async booted() {
		await waitFor("the container's systemd", () => {
			if (this.nspawn.exitCode !== null)
				throw new Error(`systemd-nspawn ended: ${readFileSync(path.join(this.dir, "console"), "utf8")}`);
			return this.leader && existsSync(`${this.root}/run/systemd/private`);
		}, { ms: BOOT_MS, every: 50 });
		const state = (await this.shell("systemctl is-system-running --wait")).stdout.trim();
		if (state !== "running" && state !== "degraded")
			throw new Error(`the container's systemd is ${state}\n${readFileSync(path.join(this.dir, "console"), "utf8")}`);
	}

	#ended() {
		return new Promise((resolve) => {
			if (this.nspawn.exitCode !== null || this.nspawn.signalCode !== null)
				resolve();
			else
				this.nspawn.on("exit", resolve);
		});
	}

	#closeWays() {
		for (const child of this.#children.splice(0))
			child.kill("SIGKILL");
	}

	#kill() {
		this.#closeWays();
		try {
			if (this.leader)
				process.kill(this.leader, "SIGKILL");	// and with it all that it has started
		} catch { /* it has ended */ }
	}

	async reboot() {
		const ended = this.#ended();
		this.#closeWays();
		this.sh("systemctl --no-block poweroff");
		await ended;
		this.start();
		await this.booted();
	}

	async stop() {
		const ended = this.#ended();
		this.#kill();
		await ended;
		this.#clean();
	}

	// While this process exits: nothing can be awaited any more.
	stopNow() {
		if (!existsSync(this.dir))
			return;
		this.#kill();
		this.nspawn.kill("SIGKILL");
		this.#clean();
	}

	#clean() {
		for (const folder of ["root", "changed"])
			spawnSync("umount", ["-l", path.join(this.dir, folder)]);
		for (const group of this.groups)
			for (let tries = 0; tries < 50; tries++)
				try {
					removeGroup(group);
					break;
				} catch {
					Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);	// what is in it is still ending
				}
		for (const folder of ["root", "changed"])
			rmdirSync(path.join(this.dir, folder));	// which fails rather than remove anything of the host's
		rmSync(this.dir, { recursive: true, force: true });
	}
}

export async function startContainer({ hosts = [] } = {}) {
	const dir = mkdtempSync(path.join(tmpdir(), "helpline-host-"));
	const name = path.basename(dir).toLowerCase().replace(/[^a-z0-9-]/g, "x");
	for (const folder of ["root", "changed"])
		mkdirSync(path.join(dir, folder));
	const mounted = spawnSync("sh", ["-ec", `
		mount -t tmpfs -o mode=0755 tmpfs "$1/changed" && mount --make-private "$1/changed"
		mkdir "$1/changed/upper" "$1/changed/work" && chmod 755 "$1/changed/upper"
		mount -t overlay -o "lowerdir=/,upperdir=$1/changed/upper,workdir=$1/changed/work" overlay "$1/root" && mount --make-private "$1/root"`,
		"-", dir], { encoding: "utf8" });
	if (mounted.status !== 0)
		throw new Error(mounted.stderr);
	const groups = hierarchies().map((h) => path.join(h, name));
	for (const group of groups) {
		mkdirSync(group);
		if (existsSync(`${group}/cpuset.cpus`))
			for (const file of ["cpuset.cpus", "cpuset.mems"])
				writeFileSync(`${group}/${file}`, readFileSync(`${path.dirname(group)}/${file}`));
		for (const [file, weight] of Object.entries(WEIGHT))
			if (existsSync(`${group}/${file}`))
				writeFileSync(`${group}/${file}`, String(weight));
	}
	const box = new Container(dir, name, groups, MASKED.filter((unit) => !hosts.includes(unit)));
	box.start();
	process.once("exit", () => box.stopNow());
	try {
		await box.booted();
		box.sh("rm -f /var/lib/man-db/auto-update");	// or each package's installation reads all manuals again
	} catch (error) {
		await box.stop();
		throw error;
	}
	return box;
}
