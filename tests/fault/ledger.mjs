// The ledger of a fault run, a process of its own that nothing kills: node ledger.mjs SOCKET FILE
//
// Clients report over the unix socket, one JSON line each, what they were told: "session", "acknowledged", "answer". Each
// line is on the disk before the next is read. {"what":"sync"} is answered by a line once all before it is.

import { fsyncSync, openSync, writeSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { once } from "node:events";

function serve(socketPath, file) {
	const fd = openSync(file, "a", 0o600);
	net.createServer((socket) => {
		let rest = "";
		socket.on("error", () => {});
		socket.setEncoding("utf8").on("data", (chunk) => {
			rest += chunk;
			const end = rest.lastIndexOf("\n") + 1;
			const lines = rest.slice(0, end).split("\n").slice(0, -1);
			rest = rest.slice(end);
			const entries = lines.filter((line) => line !== '{"what":"sync"}');
			if (entries.length > 0)
				writeSync(fd, `${entries.join("\n")}\n`);
			fsyncSync(fd);
			for (let i = entries.length; i < lines.length; i++)
				socket.write("synced\n");
		});
	}).listen(socketPath, () => console.log("ready"));
}

// The clients' end of it.
export class Ledger {
	static async start(dir) {
		const ledger = new Ledger();
		ledger.file = path.join(dir, "ledger");
		const socketPath = path.join(dir, "ledger.sock");
		ledger.child = spawn(process.execPath, [fileURLToPath(import.meta.url), socketPath, ledger.file],
			{ stdio: ["ignore", "pipe", "inherit"], detached: true });
		process.once("exit", () => ledger.child.kill());
		await once(createInterface({ input: ledger.child.stdout }), "line");
		ledger.socket = net.connect(socketPath);
		await once(ledger.socket, "connect");
		return ledger;
	}

	report(what, entry) {
		this.socket.write(`${JSON.stringify({ what, at: Date.now(), ...entry })}\n`);
	}

	async sync() {
		this.socket.write('{"what":"sync"}\n');
		await once(this.socket, "data");
	}

	close() {
		this.socket.destroy();
		this.child.kill();
	}
}

if (import.meta.url === pathToFileURL(process.argv[1]).href)
	serve(process.argv[2], process.argv[3]);
