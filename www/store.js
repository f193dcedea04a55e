// What this browser remembers. Where it may not remember anything, the page lives on without.

const PREFIX = "helpline.";

function attempt(what) {
	try {
		return what();
	} catch (error) {
		return undefined;
	}
}

export function openStore(storage = attempt(() => window.localStorage)) {
	const memory = new Map();

	return {
		get(name) {
			const text = attempt(() => storage.getItem(PREFIX + name));
			if (text !== undefined && text !== null)
				return attempt(() => JSON.parse(text));
			return memory.get(name);
		},
		set(name, value) {
			memory.set(name, value);
			attempt(() => storage.setItem(PREFIX + name, JSON.stringify(value)));
		},
		remove(name) {
			memory.delete(name);
			attempt(() => storage.removeItem(PREFIX + name));
		},
		// Another tab has changed it.
		changed(name, tell) {
			window.addEventListener("storage", (event) => {
				if (event.storageArea === storage && event.key === PREFIX + name) {
					memory.delete(name);
					tell();
				}
			});
		},
	};
}

// 128 random bits; crypto.randomUUID is missing on pages without TLS.
export function randomId() {
	const bytes = crypto.getRandomValues(new Uint8Array(16));
	return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}
