/** What a WebAssembly module is put together from: see the core specification, chapter 5, and `instantiate`. */

/** What is used of the global `WebAssembly`, which Node's types leave to those of browsers. */
interface WebAssemblyGlobal {
  readonly validate: (bytes: Uint8Array) => boolean
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: unknown }
}

const { Instance, Module, validate } = (globalThis as unknown as { WebAssembly: WebAssemblyGlobal })
  .WebAssembly

/** The exports of a new instance; `undefined` where the processor lacks what the module needs. */
export function instantiate<Exports>(module: Uint8Array): Exports | undefined {
  return validate(module) ? (new Instance(new Module(module)).exports as Exports) : undefined
}

/** How every module begins. */
export const magic: readonly number[] = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]

export function section(id: number, content: readonly number[]): number[] {
  return [id, ...sized(content)]
}

export function sized(content: readonly number[]): number[] {
  return [...unsigned(content.length), ...content]
}

export function vector(items: readonly (readonly number[])[]): number[] {
  return [...unsigned(items.length), ...items.flat()]
}

export function text(name: string): number[] {
  return sized([...Buffer.from(name)])
}

/** LEB128. */
export function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)]
}

/** LEB128 of a number that is not negative, where a signed one is expected. */
export function signed(value: number): number[] {
  return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...signed(value >>> 7)]
}
