/**
 * Is there an order of calls, each at one moment between its invocation and its return, that explains what everybody
 * was told? The search of Wing and Gong in the form of Lowe: one pass over the history, which keeps every state the
 * object may be in, each with the calls under way that have already happened in it (its memory). A call that returns
 * must have happened in one of them; if it can in none, there is no such order.
 *
 * Calls without an outcome may happen at any time, or never. So of two equal states the one that has used fewer of
 * them can do all that the other can, and the other is dropped; of alike calls the oldest goes first. That keeps long
 * histories with many of them short.
 */

/** A call as the search sees it. */
export interface SearchedCall {
  readonly invokedAt: number
  /** `Infinity`: nobody was told its outcome. */
  readonly returnedAt: number
}

/** An object of which the calls are calls. States are values: `apply` makes new ones. */
export interface Model<State, C extends SearchedCall> {
  readonly initial: State
  /** The state after the call; `undefined` if the call cannot have been answered so in this state. */
  apply(state: State, call: C): State | undefined
  /** Equal for equal states. */
  nameOf(state: State): string
  /** Never changes a state, whatever it is. */
  isRead(call: C): boolean
  /** Equal for calls without an outcome that do the same. */
  nameOfEffect(call: C): string
}

/** `at` is the first call that nothing explains. */
export type Verdict<C> =
  | { readonly kind: 'explained' }
  | { readonly kind: 'unexplained'; readonly at: C }
  | { readonly kind: 'too tangled'; readonly at: C }

/** States that are looked at before the search gives up: a history this tangled proves nothing. */
const VISITS_MAX = 2_000_000

/** Looks for an order of the calls, which may come in any order. */
export function findOrder<State, C extends SearchedCall>(
  model: Model<State, C>,
  calls: readonly C[],
): Verdict<C> {
  return new Search(model).run(calls)
}

/** A state the object may be in. Calls are bits: see `Search.places`. */
interface Possibility<State> {
  readonly state: State
  /** Calls under way that have happened, and whose return is still to come. */
  readonly happened: bigint
  /** Calls without an outcome that have happened. */
  readonly used: bigint
}

class Search<State, C extends SearchedCall> {
  private readonly model: Model<State, C>
  /** Calls under way, each with its bit. */
  private readonly places = new Map<C, bigint>()
  private readonly freeBits: bigint[] = []
  private bits = 0n
  private visits = 0

  constructor(model: Model<State, C>) {
    this.model = model
  }

  run(calls: readonly C[]): Verdict<C> {
    let possible: Possibility<State>[] = [{ state: this.model.initial, happened: 0n, used: 0n }]
    for (const { call, isReturn } of eventsOf(calls)) {
      if (!isReturn) {
        this.places.set(call, this.takeBit())
        possible = possible.map((each) => this.settle(each, [call]))
        continue
      }
      possible = this.whereHappened(call, possible)
      if (this.visits > VISITS_MAX) return { kind: 'too tangled', at: call }
      if (possible.length === 0) return { kind: 'unexplained', at: call }
      this.freeBits.push(this.places.get(call) ?? 0n)
      this.places.delete(call)
    }
    return { kind: 'explained' }
  }

  private takeBit(): bigint {
    const free = this.freeBits.pop()
    if (free !== undefined) return free
    return 1n << this.bits++
  }

  /** All possibilities in which the call has happened, without its bit. */
  private whereHappened(call: C, from: readonly Possibility<State>[]): Possibility<State>[] {
    const bit = this.places.get(call) ?? 0n
    const seen = new Antichains<State>(this.model)
    const reached = new Antichains<State>(this.model)
    let layer = from.filter((each) => seen.add(each))
    while (layer.length > 0 && this.visits <= VISITS_MAX) {
      const next: Possibility<State>[] = []
      for (const each of layer) {
        this.visits++
        if ((each.happened & bit) !== 0n) reached.add({ ...each, happened: each.happened & ~bit })
        else next.push(...this.successors(each).filter((successor) => seen.add(successor)))
      }
      layer = next
    }
    return reached.all()
  }

  private successors(from: Possibility<State>): Possibility<State>[] {
    const found: Possibility<State>[] = []
    const tried = new Set<string>()
    for (const [call, bit] of this.places) {
      if (((from.happened | from.used) & bit) !== 0n) continue
      const isUnknown = call.returnedAt === Infinity
      if (isUnknown) {
        const name = this.model.nameOfEffect(call)
        if (tried.has(name)) continue
        tried.add(name)
      }
      const state = this.model.apply(from.state, call)
      if (state === undefined) continue
      const { happened, used } = from
      const next = isUnknown
        ? { state, happened, used: used | bit }
        : { state, happened: happened | bit, used }
      found.push(this.settle(next, this.places.keys()))
    }
    return found
  }

  /** Reads that this state answers have happened: nothing is lost by it. */
  private settle(possibility: Possibility<State>, calls: Iterable<C>): Possibility<State> {
    let { happened } = possibility
    for (const call of calls) {
      if (!this.model.isRead(call)) continue
      if (this.model.apply(possibility.state, call) !== undefined) happened |= this.places.get(call) ?? 0n
    }
    return { ...possibility, happened }
  }
}

/** Possibilities of which none can do all that another can. */
class Antichains<State> {
  private readonly model: Pick<Model<State, never>, 'nameOf'>
  private readonly chains = new Map<string, Possibility<State>[]>()

  constructor(model: Pick<Model<State, never>, 'nameOf'>) {
    this.model = model
  }

  /** False if there is one already that can do the same, or more. */
  add(possibility: Possibility<State>): boolean {
    const { state, happened, used } = possibility
    const name = `${happened.toString(36)} ${this.model.nameOf(state)}`
    const chain = this.chains.get(name) ?? []
    if (chain.some((other) => (other.used & ~used) === 0n)) return false
    const others = chain.filter((other) => (used & ~other.used) !== 0n)
    this.chains.set(name, [...others, possibility])
    return true
  }

  all(): Possibility<State>[] {
    return [...this.chains.values()].flat()
  }
}

interface Event<C> {
  readonly call: C
  readonly isReturn: boolean
  readonly at: number
}

function eventsOf<C extends SearchedCall>(calls: readonly C[]): Event<C>[] {
  const events = calls.flatMap((call) => [
    { call, isReturn: false, at: call.invokedAt },
    ...(call.returnedAt === Infinity ? [] : [{ call, isReturn: true, at: call.returnedAt }]),
  ])
  return events.sort((a, b) => a.at - b.at)
}
