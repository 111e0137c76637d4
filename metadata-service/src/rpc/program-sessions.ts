/**
 * Programs act under sessions that programs have opened. ● Ids of sessions stand in the ids of blocks, which every
 * reader sees, and the ids of operations are counted: whoever could act under the session of a gateway could end it, or
 * use up the ids of its next operations.
 */
import { CairnError, formatId, type OpId, type RpcRouter, type SessionId, sessionOf } from '@cairn/protocol'
import type { Sessions } from '../core/services/sessions.js'

/** What a request may name of sessions: each change names one, and so does what is done with sessions themselves. */
interface Named {
  readonly session?: SessionId
  readonly op?: OpId
  readonly context?: { readonly session: SessionId; readonly op: OpId }
  readonly items?: readonly { readonly op?: OpId }[]
}

/** The router, with handlers that refuse a program `NotAllowed` if its request names a session of anybody else. */
export function guardSessions(router: RpcRouter, sessions: Pick<Sessions, 'roleOf'>): RpcRouter {
  return {
    handle(method, handler, atHand, taker) {
      router.handle(
        method,
        (request, call) =>
          call.peer.role === 'client'
            ? requirePrograms(sessions, request as Named).then(() => handler(request, call))
            : handler(request, call),
        atHand,
        taker,
      )
    },
  }
}

async function requirePrograms(sessions: Pick<Sessions, 'roleOf'>, request: Named): Promise<void> {
  const named = new Map(sessionsOf(request).map((session) => [formatId(session), session]))
  for (const [id, session] of named) {
    if ((await sessions.roleOf(session)) === 'client') continue
    throw new CairnError('NotAllowed', `session ${id} was not opened by a program`)
  }
}

function sessionsOf({ session, op, context, items = [] }: Named): SessionId[] {
  const ops = [op, context?.op, ...items.map((item) => item.op)].filter((each) => each !== undefined)
  return [session, context?.session, ...ops.map(sessionOf)].filter((each) => each !== undefined)
}
