/** A simulated clock: what is next in time happens next, and nothing waits in between. */
export class Schedule {
  nowMs = 0
  private readonly pending: { readonly atMs: number; readonly number: number; readonly act: () => void }[] =
    []
  private numbers = 0

  after(delayMs: number, act: () => void): void {
    this.pending.push({ atMs: this.nowMs + delayMs, number: this.numbers++, act })
  }

  pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve))
  }

  /** Runs until nothing is left to do. */
  async run(): Promise<void> {
    for (;;) {
      // Whoever was woken by the last step goes on first.
      await new Promise((resolve) => setImmediate(resolve))
      const next = this.takeNext()
      if (next === undefined) return
      this.nowMs = next.atMs
      next.act()
    }
  }

  private takeNext(): (typeof this.pending)[number] | undefined {
    let first = 0
    for (const [at, each] of this.pending.entries()) {
      const best = this.pending[first]
      if (best === undefined) break
      if (each.atMs < best.atMs || (each.atMs === best.atMs && each.number < best.number)) first = at
    }
    return this.pending.splice(first, 1)[0]
  }
}
