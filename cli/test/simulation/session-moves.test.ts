import { type DeleteObjectsRequest, moveSession, sessionOf } from '@cairn/protocol'
import { expect } from 'chai'
import { SimulatedCluster } from './cluster.js'
import { wrapCalls } from './late-repeats.js'
import { pause } from './process.js'
import { World } from './world.js'

const BUCKET = 'bucket'
/** Two services: see `World`. */
const SEED = 2
/** More than the service deletes at once. */
const KEYS = Array.from({ length: 150 }, (_, at) => `k${at}`)

describe('Deletes whose session is moved while they are under way', () => {
  it('all happen', async () => {
    let moves = 2
    const world = new World(SEED, {
      clientNetwork: (network) =>
        wrapCalls(network, async (method, request, options, call) => {
          if (method.name !== 'DeleteObjects' || moves === 0) return call(method, request, options)
          moves--
          const { items, attempt } = request as DeleteObjectsRequest
          const session = items[0] && sessionOf(items[0].op)
          if (session === undefined || attempt === undefined) throw new Error('a delete without a session')
          const answer = call(method, request, options)
          await call(moveSession, { session, route: attempt.route }, { deadlineMs: 1_000 })
          return answer
        }),
    })
    const cluster = new SimulatedCluster(world)
    cluster.start()
    const run = <T>(work: Promise<T>): Promise<T> => world.clock.runUntil(work)
    const whole = async (): Promise<void> => {
      while (!cluster.isWhole) await pause(world.clock, 50)
    }
    await run(whole())
    const client = cluster.clients[0]?.client
    if (client === undefined) throw new Error('the client does not run')
    await run(client.createBucket(BUCKET))
    await run(Promise.all(KEYS.map((key) => client.putObject(BUCKET, key, Buffer.from(key)))))
    const outcomes = await run(
      client.deleteObjects(
        BUCKET,
        KEYS.map((key) => ({ key })),
      ),
    )
    expect(outcomes).to.deep.equal(KEYS.map(() => ({ deleteMarker: false })))
    expect((await run(client.listObjects(BUCKET))).objects).to.deep.equal([])
    expect(moves).to.equal(0)
  })
})
