"""What each of AddModelService's 26 inputs does, and the test that sees it; a page is made of it."""

#: Input -> (its effect in words, the name of the test function that observes it).
EFFECTS: dict[str, tuple[str, str]] = {
    "name": (
        "Shown as it is; a CreateAppService of the EAS door finds the template by it as ServiceSpec.",
        "test_input_name",
    ),
    "description": ("Shown as it is, and may be searched.", "test_input_description"),
    "yaml": (
        "Kept word for word. At deployment: ports, probes, boot time, environment variables, "
        "Python requirements and packages of the distribution.",
        "test_input_yaml",
    ),
    "requestCpu": (
        "Cores per replica unless the deployment says otherwise: what is set aside, and the limit.",
        "test_input_request_cpu",
    ),
    "requestMemory": (
        "Memory per replica likewise, in bytes; a figure below 1,048,576 counts as MiB. "
        "A replica that takes more is ended with the cause `OutOfMemory`.",
        "test_input_request_memory",
    ),
    "zoneUuid": (
        "The zone that the command line deploys to unless told otherwise; it must exist, and without "
        "it the hub takes its own.",
        "test_input_zone_uuid",
    ),
    "modelCenterUuid": (
        "Root of relative paths, and the registry that image names are completed with.",
        "test_input_model_center_uuid",
    ),
    "gpuComputeCapability": (
        "A replica runs only where a GPU has at least this CUDA capability; elsewhere it waits, "
        "with the event `Unschedulable`.",
        "test_input_gpu_compute_capability",
    ),
    "installPath": (
        "Working directory of the command; `size` and `readme` of the answer are read from it.",
        "test_input_install_path",
    ),
    "system": (
        "Every account sees and deploys it, only its owner and an administrator change it. "
        "Only an administrator may set it.",
        "test_input_system",
    ),
    "startCommand": (
        "The command of a replica; without shell characters it is run without a shell.",
        "test_input_start_command",
    ),
    "pythonVersion": (
        "The command runs in an isolated environment with this Python, built once and shared.",
        "test_input_python_version",
    ),
    "condaVersion": (
        "The environment is built from conda packages instead; where none can be had, the deployment "
        "says so.",
        "test_input_conda_version",
    ),
    "type": (
        "Endpoint and App are deployed and routed, an App without being listed under `/v1/models`; "
        "a deployment of the other types is refused.",
        "test_input_type",
    ),
    "framework": (
        "Chooses the launcher of a template without a command, and what `supportMetrics` says.",
        "test_input_framework",
    ),
    "resourceUuid": (
        "The uuid of the new template; one that is used already is refused.",
        "test_input_resource_uuid",
    ),
    "tagUuids": (
        "These tag patterns are attached; queries find the template by `__tagUuid__`.",
        "test_input_tag_uuids",
    ),
    "source": (
        "With an empty command: HuggingFace starts the transformers launcher, Bentoml `bentoml serve`.",
        "test_input_source",
    ),
    "modelUuids": (
        "These models are bound to it; the only or the default one is served when a deployment "
        "names none.",
        "test_input_model_uuids",
    ),
    "architectureImages": (
        "The image by the node's architecture; nodes of other architectures are not used.",
        "test_input_architecture_images",
    ),
    "supportDistributed": (
        "Without it, DeployDistributedModelService is refused.",
        "test_input_support_distributed",
    ),
    "containerCommand": (
        "Entry point in containers; without a startCommand also the command of a process.",
        "test_input_container_command",
    ),
    "containerArgs": ("Arguments of containerCommand.", "test_input_container_args"),
    "vendorToSpecUuidsMap": (
        "A replica runs only where a GPU of such a vendor and specification is.",
        "test_input_vendor_to_spec_uuids_map",
    ),
    "systemTags": (
        "Rows in the system tags of the template; queries find it by `__systemTag__`.",
        "test_input_system_tags",
    ),
    "userTags": (
        "Rows in the user tags of the template; queries find it by `__userTag__`.",
        "test_input_user_tags",
    ),
}
