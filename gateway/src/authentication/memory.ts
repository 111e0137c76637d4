/** Texts remembered, and the longest of them: what is longer or not among them is parsed again. */
const TEXTS_MAX = 1000
const TEXT_LENGTH_MAX = 512

/** Results of a pure function of short texts. A function that throws leaves nothing behind. */
export class Memory<Result> {
  readonly #results = new Map<string, Result>()

  get(text: string, parse: () => Result): Result {
    const known = this.#results.get(text)
    if (known !== undefined) return known
    const result = parse()
    if (text.length > TEXT_LENGTH_MAX) return result
    if (this.#results.size >= TEXTS_MAX) this.#results.clear()
    this.#results.set(text, result)
    return result
  }
}
