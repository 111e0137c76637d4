import { CairnError, systemClock } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { findDriveIdentity, openDriveIdentity } from '../../../src/core/drives/drive-identity.js'
import { openPoolEpochs } from '../../../src/core/drives/pool-epochs.js'
import { createSimulatedDisk, type SimulatedDisk } from '../../../src/simulation/index.js'
import { codeOf } from '../../conformance/blocks.js'

const random = createSeededRandom(3)
const options = { clusterId: 'c1', clock: systemClock, random }

async function reasonOf(promise: Promise<unknown>): Promise<string | undefined> {
  const error = await promise.catch((caught: unknown) => caught)
  return error instanceof CairnError && error.code === 'DriveFailed' ? error.details.reason : String(error)
}

describe('openDriveIdentity', () => {
  let disk: SimulatedDisk
  beforeEach(() => {
    disk = createSimulatedDisk({ clock: systemClock, random })
  })

  it('makes a folder without one a new drive, durably, and knows it again', async () => {
    const made = await openDriveIdentity(disk, options)
    expect(made.driveId).to.match(/^[0-9a-f]{16}$/)
    const left = disk.crash({ kind: 'lost' })
    expect(await openDriveIdentity(left, options)).to.deep.equal(made)
    expect(await findDriveIdentity(left)).to.deep.equal(made)
  })

  it('gives another new folder another id', async () => {
    const first = await openDriveIdentity(disk, options)
    const second = await openDriveIdentity(createSimulatedDisk({ clock: systemClock, random }), options)
    expect(second.driveId).not.to.equal(first.driveId)
  })

  it('refuses a drive of another cluster and leaves it as it is', async () => {
    const made = await openDriveIdentity(disk, { ...options, clusterId: 'c2' })
    expect(await reasonOf(openDriveIdentity(disk, options))).to.equal('foreign')
    expect(await findDriveIdentity(disk)).to.deep.equal(made)
  })

  for (const [how, content] of [
    ['empty', ''],
    ['cut short', '{"format":1,"clusterId":"c1"'],
    ['no object', '17'],
    ['without an id', '{"format":1,"clusterId":"c1","createdAt":"x"}'],
    ['with a wrong id', '{"format":1,"clusterId":"c1","driveId":"../x","createdAt":"x"}'],
  ] as const) {
    it(`refuses a file that is ${how} and never makes it anew`, async () => {
      disk.poke('drive.json', Buffer.from(content))
      expect(await reasonOf(openDriveIdentity(disk, options))).to.equal('damaged')
      expect(Buffer.from(disk.peek('drive.json') ?? []).toString()).to.equal(content)
    })
  }

  it('refuses a newer format', async () => {
    disk.poke('drive.json', Buffer.from('{"format":2}'))
    expect(await codeOf(openDriveIdentity(disk, options))).to.equal('FormatTooNew')
  })

  it('refuses a folder that holds segments but has lost its file', async () => {
    await disk.makeFolder('segments')
    disk.poke('segments/strange', Buffer.from('?'))
    expect(await reasonOf(openDriveIdentity(disk, options))).to.equal('lost')
    expect(disk.peek('drive.json')).to.equal(undefined)
  })

  it('makes a new drive of a folder whose last segment has gone with its file', async () => {
    await disk.makeFolder('segments')
    const made = await openDriveIdentity(disk, options)
    expect(await findDriveIdentity(disk)).to.deep.equal(made)
  })

  it('refuses to make a drive of no cluster', async () => {
    expect(await codeOf(openDriveIdentity(disk, { ...options, clusterId: '' }))).to.equal('InvalidArgument')
  })

  it('calls a read error a failed drive, not a new one', async () => {
    await openDriveIdentity(disk, options)
    disk.fail('read', 1)
    expect(await codeOf(openDriveIdentity(disk, options))).to.equal('DriveFailed')
  })
})

describe('PoolEpochs', () => {
  let disk: SimulatedDisk
  beforeEach(() => {
    disk = createSimulatedDisk({ clock: systemClock, random })
  })

  const codeOfAdmitting = (admit: () => Promise<void> | undefined) => codeOf(Promise.resolve().then(admit))

  it('refuses lower epochs of the same pool, also after a crash', async () => {
    const epochs = await openPoolEpochs(disk)
    await epochs.admit(1, 5)
    await epochs.admit(2, 3)
    expect(await codeOfAdmitting(() => epochs.admit(1, 4))).to.equal('StaleClusterMap')
    const again = await openPoolEpochs(disk.crash({ kind: 'lost' }))
    expect(await codeOfAdmitting(() => again.admit(1, 4))).to.equal('StaleClusterMap')
    expect(again.admit(1, 5)).to.equal(undefined)
    expect(again.admit(2, 3)).to.equal(undefined)
    expect(again.highest(3)).to.equal(0)
  })

  it('writes once for all who bring the same new epoch at the same time', async () => {
    const epochs = await openPoolEpochs(disk)
    await Promise.all(Array.from({ length: 50 }, () => epochs.admit(1, 9)))
    expect(disk.count('rename')).to.equal(1)
  })

  it('tries again after a write that failed', async () => {
    const epochs = await openPoolEpochs(disk)
    disk.fail('write', 1)
    expect(await codeOfAdmitting(() => epochs.admit(1, 2))).to.equal('DriveFailed')
    await epochs.admit(1, 2)
    expect((await openPoolEpochs(disk.crash({ kind: 'lost' }))).highest(1)).to.equal(2)
  })

  it('refuses damaged and newer files', async () => {
    for (const content of [
      '',
      '{}',
      '{"format":1}',
      '{"format":1,"pools":{"1":-1}}',
      '{"format":1,"pools":{"x":1}}',
    ]) {
      disk.poke('epochs.json', Buffer.from(content))
      expect(await codeOf(openPoolEpochs(disk))).to.equal('DriveFailed')
    }
    disk.poke('epochs.json', Buffer.from('{"format":2}'))
    expect(await codeOf(openPoolEpochs(disk))).to.equal('FormatTooNew')
  })
})
