import {
  type BlockId,
  CairnError,
  type IncomingCall,
  type OpId,
  type RpcHandler,
  type RpcMethod,
  type RpcRouter,
  type SessionId,
  sessionScopedId,
} from '@cairn/protocol'
import { expect } from 'chai'
import { guardSessions } from '../../src/rpc/program-sessions.js'
import { registerSessionHandlers } from '../../src/rpc/session-handlers.js'
import { registerUploadHandlers } from '../../src/rpc/upload-handlers.js'
import { NamespaceWorld, seed } from '../core/namespace/namespace-world.js'

/** Calls handlers by name in a role. */
class Callers {
  private readonly handlers = new Map<string, RpcHandler<never, unknown>>()
  readonly router: RpcRouter = {
    handle: <Q, R>(method: RpcMethod<Q, R>, handler: RpcHandler<Q, R>): void => {
      this.handlers.set(method.name, handler as RpcHandler<never, unknown>)
    },
  }

  async call(role: string, name: string, request: object): Promise<unknown> {
    const handler = this.handlers.get(name)
    if (handler === undefined) throw new Error(`no handler for ${name}`)
    const call = { peer: { role, name: 'caller' } } as IncomingCall
    return (await handler(request as never, call)).response
  }
}

describe('guardSessions', () => {
  let world: NamespaceWorld
  let callers: Callers
  let own: SessionId

  beforeEach(async () => {
    world = await NamespaceWorld.open(seed)
    callers = new Callers()
    const guarded = guardSessions(callers.router, world.sessions)
    registerSessionHandlers(guarded, world.sessions, world.clock)
    registerUploadHandlers(guarded, world.namespace, () => undefined)
    guarded.handle({ name: 'Any' } as RpcMethod<object, object>, async () => ({ response: {} }))
    const opened = await world.run(callers.call('client', 'OpenSession', { role: 'gateway', name: 'p' }))
    own = (opened as { session: SessionId }).session
  })

  async function outcome(role: string, name: string, request: object): Promise<string> {
    try {
      await world.run(callers.call(role, name, request))
      return 'done'
    } catch (error) {
      if (error instanceof CairnError) return error.code
      throw error
    }
  }

  const op = (session: SessionId, counter = 1): OpId => sessionScopedId<OpId>(session, counter)

  it('has a program act under sessions of programs only, and a gateway under any', async () => {
    const gateways = world.session
    const requests = (session: SessionId): object[] => [
      { session },
      { op: op(session) },
      { items: [{ op: op(own) }, { op: op(session) }] },
      { context: { session, op: op(own) } },
      { context: { session: own, op: op(session) } },
    ]
    for (const request of requests(gateways)) {
      expect(await outcome('client', 'Any', request), JSON.stringify(request)).to.equal('NotAllowed')
      expect(await outcome('gateway', 'Any', request)).to.equal('done')
    }
    for (const request of requests(own)) expect(await outcome('client', 'Any', request)).to.equal('done')
    expect(await outcome('client', 'Any', {})).to.equal('done')
    expect(await outcome('client', 'Any', { block: sessionScopedId<BlockId>(gateways, 1) })).to.equal('done')
  })

  it('lets no program renew, move or end the session of a gateway', async () => {
    const { session } = world
    for (const name of ['RenewSession', 'MoveSession', 'CloseSession']) {
      expect(await outcome('client', name, { session, route: 1 }), name).to.equal('NotAllowed')
    }
    for (const name of ['RenewSession', 'MoveSession', 'CloseSession']) {
      expect(await outcome('client', name, { session: own, route: 1 }), name).to.equal('done')
    }
    expect(await outcome('client', 'RenewSession', { session: own })).to.equal('SessionExpired')
    expect(await outcome('gateway', 'RenewSession', { session })).to.equal('done')
  })

  it('takes a program for one whatever it says when it opens its session', async () => {
    expect(await world.run(world.sessions.roleOf(own))).to.equal('client')
    const opened = await world.run(callers.call('gateway', 'OpenSession', { role: 'all', name: 'g' }))
    const { session } = opened as { session: SessionId }
    expect(await world.run(world.sessions.roleOf(session))).to.equal('all')
    expect(await outcome('client', 'CreateUpload', { op: op(session), bucket: 'b' })).to.equal('NotAllowed')
  })
})
