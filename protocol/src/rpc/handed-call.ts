import type { Roster, Rostered } from '../turnover.js'
import { deadlineExceeded, type Timed } from './deadlines.js'
import type { Handover, RpcMethod } from './types.js'

/** One call that was handed over, as its caller's side sees it: the first outcome is told, and only that. */
export class HandedCall implements Timed, Rostered {
  readonly deadlineAtMs: number
  place = -1
  private readonly name: RpcMethod<unknown, unknown>['name']
  private readonly handover: Handover<unknown>
  private isSettled = false
  /** Calls of the connection that are not settled; this one is among them from `begin` on. */
  private readonly handed: Roster<HandedCall>

  constructor(
    { name }: { readonly name: RpcMethod<unknown, unknown>['name'] },
    handover: Handover<unknown>,
    deadlineAtMs: number,
    handed: Roster<HandedCall>,
  ) {
    this.deadlineAtMs = deadlineAtMs
    this.name = name
    this.handover = handover
    this.handed = handed
  }

  /** From now on it can expire, unless it is settled already: then false. */
  begin(): boolean {
    if (this.isSettled) return false
    this.handed.add(this)
    return true
  }

  settle(outcome: unknown): void {
    if (this.isSettled) return
    this.isSettled = true
    this.handed.delete(this)
    this.handover.settle(outcome)
  }

  expire(): void {
    const { name, handover } = this
    this.settle(deadlineExceeded(name, handover.deadlineMs))
  }
}
