import { setTimeout as sleep } from 'node:timers/promises'
import { CreateBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { type Cluster, startCluster } from '../src/harness/cluster.js'
import { removeFolder, temporaryFolder } from '../src/harness/folders.js'
import { connectS3 } from '../src/harness/s3.js'

interface Readiness {
  readonly ready: boolean
  readonly trouble?: string
}

describe('a gateway of a cluster', function () {
  this.timeout(120_000)
  let folder: string
  let cluster: Cluster

  before(async () => {
    folder = await temporaryFolder('readiness')
    const env = { CAIRN_SUSPECT_SECONDS: '2' }
    cluster = await startCluster({ folder, env, chunkServers: 2, gateways: 1 })
  })

  after(async () => {
    await cluster?.stop()
    await removeFolder(folder)
  })

  const gateway = () => {
    const [first] = cluster.gateways
    if (first === undefined) throw new Error('no gateway')
    return first
  }

  async function readiness(): Promise<Readiness> {
    const answer = await fetch(`${gateway().endpoint}/-/health/ready`)
    const said = (await answer.json()) as Readiness
    expect(answer.status).to.equal(said.ready ? 200 : 503)
    return said
  }

  /** Asks until it is so; the time limit of the test is that of the wait. */
  async function until(isWanted: (said: Readiness) => boolean): Promise<Readiness> {
    for (;;) {
      const said = await readiness()
      if (isWanted(said)) return said
      await sleep(100)
    }
  }

  it('is not ready before there are drives for all copies, and is once a write would work', async () => {
    expect((await readiness()).trouble).to.match(/no pool yet/)
    await cluster.addChunkServer()
    await until(({ ready }) => ready)
    const s3 = connectS3(gateway())
    await s3.send(new CreateBucketCommand({ Bucket: 'ready' }))
    await s3.send(new PutObjectCommand({ Bucket: 'ready', Key: 'k', Body: 'body' }))
  })

  it('is not needed to see what the services know', async () => {
    const inspect = async ({ httpEndpoint }: { httpEndpoint: string }) =>
      (await (await fetch(`${httpEndpoint}/-/inspect`)).json()) as Record<string, unknown>
    const metadata = await inspect(cluster.metadata)
    expect(metadata).to.include({ role: 'metadata', isCoordinator: true })
    expect(metadata.driveStates).to.have.length(3)
    for (const server of cluster.chunkServers) {
      const chunk = await inspect(server)
      expect(chunk).to.include({ role: 'chunk', registered: true })
      expect(chunk.drives).to.have.length(1)
    }
  })

  it('is not ready once too few chunk servers are left for a write', async () => {
    await Promise.all(cluster.chunkServers.slice(1).map((server) => server.kill()))
    const { trouble } = await until(({ ready }) => !ready)
    expect(trouble).to.match(/groups have fewer than 2 drives that are up$/)
  })
})
