/** What people and their tools ask of the cluster besides objects: its state, and the check of everything. */
import {
  acceptRestore,
  CairnError,
  type ChangeDrivesRequest,
  type CheckReport,
  type ClusterStatus,
  changeDrives,
  type FeatureLevelReport,
  featureLevel,
  getCheck,
  getStatus,
  hasCode,
  startCheck,
} from '@cairn/protocol'
import type { CallControl } from './api.js'
import type { MetadataCaller } from './cluster/metadata-caller.js'

/** What is wanted of drives and nodes, as of now. */
export type DriveWish = Omit<ChangeDrivesRequest, 'epoch'>

/** What an operator asks of a cluster. */
export interface AdminClient {
  /** Drives, repair and garbage as the metadata service sees them. */
  status(control?: CallControl): Promise<ClusterStatus>
  /** Starts a check and gives its name; `Busy` (details.check: its name) while another runs. */
  startCheck(options: { readonly deep: boolean }, control?: CallControl): Promise<string>
  /** How a check stands, the last one unless named; `cancel` ends it. `InvalidArgument` if it is not known. */
  getCheck(options?: { readonly check?: string; readonly cancel?: boolean }): Promise<CheckReport>
  /** Tells the cluster what is wanted of drives and nodes; `PreconditionFailed` if that would lose data. */
  changeDrives(request: DriveWish): Promise<void>
  /** Which feature level the cluster has, and who supports which. */
  featureLevel(): Promise<FeatureLevelReport>
  /** Raises it as far as any member supports it; `PreconditionFailed` unless all do. Idempotent. */
  raiseFeatureLevel(): Promise<FeatureLevelReport>
  /** Lets garbage be collected again after a restore that made this incarnation. Idempotent. */
  acceptRestore(incarnation: string): Promise<void>
}

/** Calls of the metadata services; errors pass as they come. */
export function createAdminClient(metadata: MetadataCaller): AdminClient {
  return {
    status: (control) => metadata.read(getStatus, { withMap: false }, control?.signal),
    startCheck: async ({ deep }, control) =>
      (await metadata.read(startCheck, { deep }, control?.signal)).check,
    getCheck: (options = {}) => metadata.read(getCheck, options),
    async changeDrives(request): Promise<void> {
      const { epoch } = await metadata.read(getStatus, { withMap: false })
      await metadata.read(changeDrives, { ...request, epoch }).catch((error: unknown) => {
        throw hasCode(error, 'MessageCorrupt') ? tooOld(request, error) : error
      })
    },
    featureLevel: () => metadata.read(featureLevel, { raise: false }),
    raiseFeatureLevel: () => metadata.read(featureLevel, { raise: true }),
    async acceptRestore(incarnation): Promise<void> {
      await metadata.read(acceptRestore, { incarnation })
    },
  }
}

function tooOld({ action }: DriveWish, cause: CairnError): CairnError {
  const message = `a metadata service is too old to know "${action}": upgrade it first`
  return new CairnError('PreconditionFailed', message, { cause })
}
