/**
 * Memory at page borders, which a disk can read without the page cache in between. JavaScript does not tell where a
 * buffer lies, but the memory of WebAssembly begins at a page: its guards are made of pages.
 */

/** Places and sizes of what goes past the page cache are multiples of this: a page, and some sectors. */
export const DIRECT_BYTES = 4096

/** What is used of the global `WebAssembly`, which Node's types leave to those of browsers. */
interface WebAssemblyGlobal {
  readonly Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer }
}

const { Memory } = (globalThis as unknown as { WebAssembly: WebAssemblyGlobal }).WebAssembly

const WASM_PAGE_BYTES = 64 * 1024

const aligned = new WeakSet<ArrayBufferLike>()

/**
 * Zeroed memory at a page border. Each call reserves some GiB of addresses: for few and large pieces that are used
 * again. Where addresses are rationed, the memory is any.
 */
export function allocateAligned(sizeBytes: number): Buffer {
  const pages = Math.ceil(sizeBytes / WASM_PAGE_BYTES)
  try {
    const { buffer } = new Memory({ initial: pages, maximum: pages })
    aligned.add(buffer)
    return Buffer.from(buffer, 0, sizeBytes)
  } catch (error) {
    if (error instanceof RangeError) return Buffer.alloc(sizeBytes)
    throw error
  }
}

/** Whether these bytes begin at a multiple of DIRECT_BYTES, as far as is known. */
export function isAligned(bytes: Uint8Array): boolean {
  return bytes.byteOffset % DIRECT_BYTES === 0 && aligned.has(bytes.buffer)
}
