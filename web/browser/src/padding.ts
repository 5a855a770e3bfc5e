/** Padding, so that the length of a ciphertext tells little: 4 KiB steps for objects, Padmé for files. */

export const STEP = 4096;

/** Canonical JSON followed by spaces up to the next multiple of 4,096 bytes. */
export function padObject(json: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil(json.length / STEP) * STEP).fill(0x20);
  padded.set(json);
  return padded;
}

/** The length a file is filled up to: Padmé (Nikitin et al., PETS 2019), at most 12 % more, and 4 KiB at least. */
export function paddedSize(size: number): number {
  if (size <= STEP) return STEP;
  // Counting binary digits is exact where Math.log2 rounds.
  const exponent = size.toString(2).length - 1;
  const step = 2 ** (exponent - exponent.toString(2).length);
  return Math.ceil(size / step) * step;
}

/** Lets `size` bytes pass and adds zeros up to the padded size; a file that changes size on the way is an error. */
export function padFile(size: number): TransformStream<Uint8Array, Uint8Array> {
  let seen = 0;
  return new TransformStream({
    transform(chunk, controller) {
      seen += chunk.length;
      controller.enqueue(chunk);
    },
    flush(controller) {
      if (seen !== size) throw new Error("the file changed while it was being read");
      for (let left = paddedSize(size) - size; left > 0; left -= 65536) {
        controller.enqueue(new Uint8Array(Math.min(left, 65536)));
      }
    },
  });
}
