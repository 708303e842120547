"""What words on the command line name: recordings and streams, with camera, place and time."""

from datetime import UTC, datetime
from pathlib import Path

import av
import pytest

from tests.retrieval.footage import wall, write_images, write_video
from xreid.core.errors import ConfigError, DataError
from xreid.retrieval.ingest_config import IngestConfig, SourceOptions
from xreid.retrieval.names_of_files import container_start, name_reader, unix_time, usual_name
from xreid.retrieval.sources import Sources, find_sources, read_list, without_password

EVENING = datetime(2026, 11, 20, 21, 30, tzinfo=UTC).timestamp()


def _find(*words: Path | str, config: IngestConfig | None = None, **options: str) -> Sources:
    return find_sources(
        [str(word) for word in words], options=SourceOptions(**options), config=config or IngestConfig()
    )


def _video(path: Path, **metadata: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, [wall()] * 3)
    if metadata:
        copy = path.with_name(f"copy{path.suffix}")
        with av.open(str(path)) as old, av.open(str(copy), "w") as new:
            new.metadata.update(metadata)
            stream = new.add_stream_from_template(old.streams.video[0])
            for packet in old.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    new.mux(packet)
        copy.replace(path)
    return path


@pytest.mark.parametrize(
    ("name", "camera", "start"),
    [
        ("cam3_20261120T213000Z", "cam3", "2026-11-20T21:30:00+00:00"),
        ("cam3_20261120T213000", "cam3", "2026-11-20T21:30:00"),
        ("north-gate-2026-11-20_21-30-00", "north-gate", "2026-11-20T21:30:00"),
        ("yard_20261120T213000.250Z", "yard", "2026-11-20T21:30:00.250000+00:00"),
        ("gate 2026-11-20T21.30.00+0100", "gate", "2026-11-20T21:30:00+01:00"),
        ("20261120213000", None, "2026-11-20T21:30:00"),
        ("VID_20261120_213000", "VID", "2026-11-20T21:30:00"),
    ],
)
def test_usual_names(name: str, camera: str | None, start: str) -> None:
    facts = usual_name(name)
    assert facts is not None
    assert (facts.camera, facts.start) == (camera, datetime.fromisoformat(start))


@pytest.mark.parametrize(
    "name", ["gate", "cam3", "cam_20261399T213000Z", "cam_20261120T993000Z", "12345678", "cam_20261120", ""]
)
def test_other_names_say_nothing(name: str) -> None:
    assert usual_name(name) is None


def test_names_by_a_pattern() -> None:
    read = name_reader("{place}-{camera}_{start:%d.%m.%Y %H%M%S}_{*}")
    facts = read("yard-c7_20.11.2026 213000_part2")
    assert facts is not None
    assert (facts.place, facts.camera, facts.start) == ("yard", "c7", datetime(2026, 11, 20, 21, 30))
    assert read("yard-c7_20.11.26 213000_part2") is None
    assert read("yard-c7_99.11.2026 213000_part2") is None
    zoned = name_reader("{start:%Y%m%dT%H%M%SZ}")("20261120T213000Z")
    assert zoned is not None
    assert zoned.start == datetime(2026, 11, 20, 21, 30, tzinfo=UTC)
    unix = name_reader("{camera}.{start:%s}")("a.1795210200")
    assert unix is not None
    assert unix.start == datetime(2026, 11, 20, 21, 30, tzinfo=UTC)
    for wrong in ("gate", "{cam}", "{start}", "{camera}{camera}", "{start:%Q}", "{start:%Y}{start:%m}"):
        with pytest.raises(ConfigError, match="name_pattern"):
            name_reader(wrong)


def test_local_times_need_a_zone() -> None:
    moment = datetime(2026, 11, 20, 22, 30)
    assert unix_time(moment, time_zone="Europe/Berlin", what="x") == EVENING
    assert unix_time(moment.replace(hour=21), time_zone="UTC", what="x") == EVENING
    with pytest.raises(
        ConfigError, match=r"the start of a\.mp4, 2026-11-20T22:30:00, has no time zone.*--time_zone"
    ):
        unix_time(moment, time_zone=None, what="the start of a.mp4")
    with pytest.raises(ConfigError, match="no such time zone.*Mars"):
        unix_time(moment, time_zone="Mars/Olympus", what="x")


def test_a_single_file_and_its_name(tmp_path: Path) -> None:
    path = _video(tmp_path / "cam3_20261120T213000Z.mp4")
    found = _find(path)
    (one,) = found.recordings
    assert found.single
    assert (one.camera, one.start_s, one.start_from) == ("cam3", EVENING, "name")
    (given,) = _find(path, config=IngestConfig(camera="gate", place="north", start="7")).recordings
    assert (given.camera, given.place, given.start_s, given.start_from) == ("gate", "north", 7.0, "option")
    with pytest.raises(ConfigError, match="--start.*has no time zone"):
        _find(path, config=IngestConfig(start="2026-11-20T21:30"))
    local = IngestConfig(start="2026-11-20T22:30", time_zone="Europe/Berlin")
    assert _find(path, config=local).recordings[0].start_s == EVENING


def test_the_container_knows_when_it_was_made(tmp_path: Path) -> None:
    known = _video(tmp_path / "gate.mp4", creation_time="2026-11-20T21:30:00.000000Z")
    assert container_start(known) == datetime(2026, 11, 20, 21, 30, tzinfo=UTC)
    (one,) = _find(known).recordings
    assert (one.start_s, one.start_from, one.camera) == (EVENING, "container", "gate")
    never_set = _video(tmp_path / "old.mp4", creation_time="1970-01-01T00:00:00.000000Z")
    assert container_start(never_set) is None
    assert container_start(_video(tmp_path / "plain.mp4")) is None


def test_rolled_files_that_name_no_camera_are_of_one(tmp_path: Path) -> None:
    """Their names were read and say when, not who: the folder they lie in is the camera."""
    for name in ("gate/20261120T213000Z.mp4", "gate/20261120T223000Z.mp4", "gate/c7.0001.mp4"):
        _video(tmp_path / name)
    assert [one.camera for one in _find(tmp_path / "gate").recordings] == ["gate", "gate", "c7.0001"]
    assert _find(tmp_path / "gate" / "20261120T213000Z.mp4").recordings[0].camera == "gate"
    parts = _find(tmp_path / "gate", pattern="c7*", name_pattern="{camera}.{*}").recordings
    assert [one.camera for one in parts] == ["c7"]
    dated = _find(tmp_path / "gate", pattern="2026*", name_pattern="{start:%Y%m%dT%H%M%SZ}").recordings
    assert [one.camera for one in dated] == ["gate", "gate"]
    given = _find(tmp_path / "gate", config=IngestConfig(camera="north")).recordings
    assert {one.camera for one in given} == {"north"}


def test_a_folder_of_videos(tmp_path: Path) -> None:
    for name in ("north/20261120T213000Z.mp4", "north/20261120T223000Z.mp4", "cam10.avi", "cam9.avi"):
        _video(tmp_path / name)
    (tmp_path / ".hidden").mkdir()
    _video(tmp_path / ".hidden" / "a.mp4")
    (tmp_path / "notes.txt").write_text("ignored")
    found = _find(tmp_path)
    assert not found.single
    labels = [(one.label, one.name, one.camera) for one in found.recordings]
    assert labels == [
        ("cam9.avi", "cam9", "cam9"),
        ("cam10.avi", "cam10", "cam10"),
        ("north/20261120T213000Z.mp4", "north_20261120T213000Z", "north"),
        ("north/20261120T223000Z.mp4", "north_20261120T223000Z", "north"),
    ]
    assert len(_find(tmp_path, pattern="north/*.mp4").recordings) == 2
    patterned = _find(tmp_path, pattern="north/*", name_pattern="{place}/{start:%Y%m%dT%H%M%SZ}").recordings
    assert [one.place for one in patterned] == ["north", "north"]
    with pytest.raises(ConfigError, match=r"name of cam9\.avi does not fit --name_pattern"):
        _find(tmp_path, name_pattern="{camera}_{start:%Y}")
    with pytest.raises(DataError, match=r"holds no files like \*\.xyz"):
        _find(tmp_path, pattern="*.xyz")
    with pytest.raises(ConfigError, match="--start is for one recording; got 4"):
        _find(tmp_path, config=IngestConfig(start="5"))
    with pytest.raises(ConfigError, match="--tracks is for one recording"):
        _find(tmp_path, config=IngestConfig(tracks=tmp_path / "mot.txt"))


def test_a_folder_of_images_is_one_recording(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "images", [wall()])
    assert _find(folder).single
    _video(folder / "a.mp4")
    with pytest.raises(DataError, match="images and videos.*--pattern"):
        _find(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no videos or images"):
        _find(tmp_path / "empty")


def test_equal_names_are_told_apart(tmp_path: Path) -> None:
    one, other = _video(tmp_path / "a" / "gate.mp4"), _video(tmp_path / "b" / "gate.mp4")
    assert [r.name for r in _find(one, other).recordings] == ["gate", "gate_2"]


def test_lists_of_cameras(tmp_path: Path) -> None:
    _video(tmp_path / "v" / "a.mp4")
    _video(tmp_path / "v" / "b.mp4")
    (tmp_path / "list.csv").write_text(
        "camera,place,path,url,modality,time_zone,start\n"
        "c1,north gate,v/a.mp4,,ir,Europe/Berlin,2026-11-20T22:30:00\n"
        "c2,,v/b.mp4,,,,\n"
        "c3,yard,,rtsp://user:pw@10.0.0.3/main,vis,,\n"
    )
    found = _find(tmp_path / "list.csv")
    first, second = found.recordings
    assert (first.camera, first.place, first.modality) == ("c1", "north gate", "ir")
    assert (first.start_s, first.start_from) == (EVENING, "list")
    assert (second.camera, second.place, second.modality, second.start_s) == ("c2", None, "auto", None)
    (stream,) = found.streams
    assert (stream.camera, stream.place, stream.modality) == ("c3", "yard", "vis")
    assert stream.shown == "rtsp://10.0.0.3/main"
    (tmp_path / "list.yaml").write_text("- {camera: c1, path: v, start: 2026-11-20T21:30:00Z}\n")
    assert [r.camera for r in _find(tmp_path / "list.yaml").recordings] == ["c1", "c1"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "camera,path\n", "lists no cameras"),
        ("a.csv", "camera,colour,path\na,b,c\n", "camera 1: unknown column.*got colour"),
        ("a.csv", "camera,path\na,\n", "camera 1: give either a path or a url"),
        ("a.yaml", "camera: [", "is no YAML"),
        ("a.yaml", "camera: gate", "no list of cameras"),
        ("a.yaml", None, "cannot read the list"),
    ],
)
def test_lists_that_are_wrong(name: str, text: str | None, message: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_list(tmp_path / name)


def test_a_list_with_an_unknown_modality(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("camera,url,modality\na,rtsp://h/x,thermal\n")
    with pytest.raises(ConfigError, match="unknown modality.*got thermal"):
        _find(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("rtsp://admin:pw@10.0.0.3:554/Streaming/101", "10.0.0.3_Streaming_101"),
        ("/dev/video0", "video0"),
        ("http://cam.local/mjpg", "cam.local_mjpg"),
    ],
)
def test_streams(address: str, name: str) -> None:
    (stream,) = _find(address).streams
    assert (stream.name, stream.address) == (name, address)
    assert "pw" not in stream.shown


def test_passwords_are_taken_out() -> None:
    assert without_password("rtsp://a:b@h:554/x?y=1") == "rtsp://h:554/x?y=1"
    assert without_password("rtsp://h/x") == "rtsp://h/x"
    assert without_password("/dev/video0") == "/dev/video0"
