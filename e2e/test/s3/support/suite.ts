/** What suites on one bucket of a world of their own have in common. */
import { expect } from 'chai'
import type { Server } from '../../../src/harness/server.js'
import { send } from './wire.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './world.js'

export interface Suite {
  readonly world: World
  readonly server: Server
  readonly bucket: string
  /** `/<bucket>/<key>` that no other test of the suite uses. */
  freshPath(): string
}

/** Starts a world with one bucket before the tests of this `describe`, and stops it after them. */
export function useSuite(label: string): Suite {
  const bucket = freshName()
  let world: World | undefined
  let keys = 0
  const running = (): World => {
    if (world === undefined) throw new Error('the world has not started')
    return world
  }

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld(label)
    expect((await send(world.server, { method: 'PUT', path: `/${bucket}` })).status).to.equal(200)
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  return {
    bucket,
    get world() {
      return running()
    },
    get server() {
      return running().server
    },
    freshPath() {
      keys += 1
      return `/${bucket}/key-${keys}`
    },
  }
}
