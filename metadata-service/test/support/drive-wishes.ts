/** Every wish for drives in a world of two services, what undoes it, and what of it stands in the store. */
import {
  type ChangeDrivesRequest,
  changeDrives,
  type DriveAction,
  getStatus,
  registerServer,
} from '@cairn/protocol'
import {
  CLUSTER_RANGE,
  ClusterRow,
  clusterRowKind,
  DriveRow,
} from '../../src/core/rows/cluster-state-rows.js'
import { driveOf, type PausableService, registrationOf, SeveralServices } from '../several-services.js'
import { outcomeOf } from './namespace-changes.js'

type Wish = Pick<ChangeDrivesRequest, 'action'> & Partial<ChangeDrivesRequest>

interface Case {
  /** What is wanted first. */
  readonly before?: Wish
  readonly wish: Wish
  /** What undoes it; else the server of the drive registers again. */
  readonly successor?: Wish
}

const NEW_NODE = { servers: ['c2'] }
const USED_NODE = { servers: ['c1'] }
/** Was never heard. */
const SILENT_NODE = { servers: ['c3'] }

/** Drive 1 holds all groups, drive 2 is unused, drive 3 does not answer. */
export const WISHES: Readonly<Record<DriveAction, Case>> = {
  drain: { wish: { action: 'drain', ...USED_NODE }, successor: { action: 'undrain', ...USED_NODE } },
  undrain: {
    before: { action: 'drain', ...USED_NODE },
    wish: { action: 'undrain', ...USED_NODE },
    successor: { action: 'drain', ...USED_NODE },
  },
  replace: {
    wish: { action: 'replace', drives: [driveOf(1), driveOf(2)] },
    successor: { action: 'undrain', ...USED_NODE },
  },
  add: {
    before: { action: 'drain', ...NEW_NODE },
    wish: { action: 'add', ...NEW_NODE },
    successor: { action: 'drain', ...NEW_NODE },
  },
  remove: { wish: { action: 'remove', ...SILENT_NODE } },
  rebalance: { wish: { action: 'rebalance' }, successor: { action: 'rebalance' } },
}

export class WishWorld extends SeveralServices {
  a!: PausableService
  b!: PausableService
  private readonly case: Case
  private request!: ChangeDrivesRequest

  private constructor(wanted: Case) {
    super()
    this.case = wanted
  }

  /** `isDated`: as gateways ask; else as those who cannot tell the epoch. */
  static async open(
    action: DriveAction,
    { isDated = true }: { readonly isDated?: boolean } = {},
  ): Promise<WishWorld> {
    const world = new WishWorld(WISHES[action])
    await world.run(world.setUp(isDated))
    return world
  }

  private async setUp(isDated: boolean): Promise<void> {
    this.a = await this.start('a')
    this.b = await this.start('b')
    for (const at of [1, 2]) await this.addDrive([this.a, this.b], at)
    await this.call(this.a, registerServer, registrationOf(3))
    const { before, wish } = this.case
    if (before !== undefined) await this.ask(this.a, before)
    const epoch = await this.epochAt(this.a)
    this.request = { drives: [], servers: [], force: false, ...wish, ...(isDated ? { epoch } : {}) }
  }

  /** Sends the wish, always as it was asked first; the outcome in a word. */
  send(at: PausableService): Promise<string> {
    return outcomeOf(this.call(at, changeDrives, this.request))
  }

  /** What comes after it is asked and done. */
  async succeed(at: PausableService): Promise<void> {
    const { successor } = this.case
    if (successor === undefined) await this.call(at, registerServer, registrationOf(3, 1))
    else await this.ask(at, successor)
  }

  private async ask(at: PausableService, wish: Wish): Promise<void> {
    const epoch = this.request?.epoch === undefined ? {} : { epoch: await this.epochAt(at) }
    await this.call(at, changeDrives, { drives: [], servers: [], force: false, ...wish, ...epoch })
  }

  private async epochAt(at: PausableService): Promise<number> {
    return (await this.call(at, getStatus, { withMap: false })).epoch
  }

  /** What is wanted of each drive that is there, and of all groups; and since when, which only wishes change. */
  async wanted(): Promise<{ drains: string[]; epochs: string[] }> {
    const { results } = await this.store.read([{ kind: 'scan', range: CLUSTER_RANGE, limit: 1000 }])
    const rows = results[0] ?? []
    const drives = rows
      .filter(({ key }) => clusterRowKind(key) === 'drive')
      .map(({ value }) => DriveRow.decode(value))
    const cluster = rows.find(({ key }) => clusterRowKind(key) === 'cluster')
    const { balanceEpoch = 0 } = cluster === undefined ? {} : ClusterRow.decode(cluster.value)
    return {
      drains: drives.map(({ drive, drain = 'not' }) => `${drive.id} ${drain}`),
      epochs: [balanceEpoch, ...drives.map(({ wishEpoch }) => wishEpoch)].map(String),
    }
  }
}
