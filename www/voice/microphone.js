// What the microphone hears, as 16-bit samples of the rate that is asked for, in pieces of 20 ms. An AudioWorklet: it runs in
// the thread of the sound, so that a busy page leaves no gap.

const PIECE_MS = 20;	// longer ones would be noticed by who interrupts: he is heard when one is full

class Microphone extends AudioWorkletProcessor {
	constructor() {
		super();
		this.rate = 16000;
		this.start();
		this.port.onmessage = (event) => {
			this.rate = event.data.rate;
			this.start();
		};
	}

	start() {
		this.step = sampleRate / this.rate;
		this.piece = new Int16Array(this.rate * PIECE_MS / 1000);
		this.filled = 0;
		this.sum = 0;		// of the samples that become one
		this.count = 0;
		this.due = this.step;
		this.square = 0;
	}

	add(value) {
		const s = Math.max(-1, Math.min(1, value));
		this.square += s * s;
		this.piece[this.filled++] = Math.round(s * 32767);
		if (this.filled < this.piece.length)
			return;
		const level = Math.sqrt(this.square / this.piece.length);
		this.port.postMessage({ samples: this.piece.buffer, level }, [this.piece.buffer]);
		this.piece = new Int16Array(this.rate * PIECE_MS / 1000);
		this.filled = 0;
		this.square = 0;
	}

	process([input]) {
		for (const value of input[0] || []) {
			this.sum += value;
			this.count++;
			for (this.due -= 1; this.due <= 0 && this.count > 0; this.due += this.step) {
				this.add(this.sum / this.count);
				if (this.due + this.step > 0)
					this.sum = this.count = 0;
			}
		}
		return true;
	}
}

registerProcessor("microphone", Microphone);
