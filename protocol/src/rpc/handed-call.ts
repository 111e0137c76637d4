import { CairnError } from '../errors.js'
import type { Roster, Rostered } from '../turnover.js'
import type { Timed } from './deadlines.js'
import type { Handover, RpcMethod } from './types.js'

/** What a handed-over call is made of. */
export interface HandedCallParts {
  readonly method: { readonly name: RpcMethod<unknown, unknown>['name'] }
  readonly handover: Handover<unknown>
  readonly deadlineAtMs: number
  /** Calls of the connection that are not settled. */
  readonly handed: Roster<HandedCall>
}

/** One call that was handed over, as its caller's side sees it: the first outcome is told, and only that. */
export class HandedCall implements Timed, Rostered {
  readonly deadlineAtMs: number
  place = -1
  private readonly parts: HandedCallParts
  private isSettled = false

  constructor(parts: HandedCallParts) {
    this.parts = parts
    this.deadlineAtMs = parts.deadlineAtMs
  }

  /** From now on it can expire, unless it is settled already: then false. */
  begin(): boolean {
    if (this.isSettled) return false
    this.parts.handed.add(this)
    return true
  }

  readonly settle = (outcome: unknown): void => {
    if (this.isSettled) return
    this.isSettled = true
    const { handed, handover } = this.parts
    handed.delete(this)
    handover.settle(outcome)
  }

  expire(): void {
    const { method, handover } = this.parts
    this.settle(new CairnError('DeadlineExceeded', `${method.name}: ${handover.deadlineMs} ms have passed`))
  }
}
