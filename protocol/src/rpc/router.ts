import type { RpcHandler, RpcHandlerAtHand, RpcMethod, RpcRouter, RpcRouterTable, RpcTaker } from './types.js'

interface Entry {
  readonly method: RpcMethod<unknown, unknown>
  readonly handler: RpcHandler<unknown, unknown>
  readonly atHand: RpcHandlerAtHand<unknown, unknown> | undefined
  readonly taker: RpcTaker<unknown, unknown> | undefined
}

/** An empty method table. Giving one number two handlers is a mistake in the program and throws. */
export function createRouter(): RpcRouter & RpcRouterTable {
  const entries = new Map<number, Entry>()
  return {
    handle<Request, Response>(
      method: RpcMethod<Request, Response>,
      handler: RpcHandler<Request, Response>,
      atHand?: RpcHandlerAtHand<Request, Response>,
      taker?: RpcTaker<Request, Response>,
    ): void {
      const taken = entries.get(method.number)
      if (taken !== undefined) {
        throw new Error(`${method.name} and ${taken.method.name} both use method number ${method.number}`)
      }
      entries.set(method.number, {
        method: method as RpcMethod<unknown, unknown>,
        handler: handler as RpcHandler<unknown, unknown>,
        atHand: atHand as RpcHandlerAtHand<unknown, unknown> | undefined,
        taker: taker as RpcTaker<unknown, unknown> | undefined,
      })
    },
    find: (methodNumber) => entries.get(methodNumber),
  }
}
