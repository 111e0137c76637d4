/** Texts remembered, and the longest of them: what is longer or not among them is parsed again. */
const TEXTS_MAX = 1000
const TEXT_LENGTH_MAX = 512

/** Results of a pure function of short texts. A function that throws leaves nothing behind. */
export class Memory<Result> {
  readonly #results = new Map<string, Result>()
  /** Most texts are as the one before: to compare two costs less than to hash one. */
  #last: { readonly text: string; readonly result: Result } | undefined

  get(text: string, parse: () => Result): Result {
    const last = this.#last
    if (last?.text === text) return last.result
    const result = this.#results.get(text) ?? parse()
    if (text.length <= TEXT_LENGTH_MAX) this.#remember(text, result)
    return result
  }

  #remember(text: string, result: Result): void {
    this.#last = { text, result }
    if (this.#results.has(text)) return
    if (this.#results.size >= TEXTS_MAX) this.#results.clear()
    this.#results.set(text, result)
  }
}
